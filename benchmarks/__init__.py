"""What measures the program's speed and memory, as ratios in one run; `app/commands` alone imports it."""
