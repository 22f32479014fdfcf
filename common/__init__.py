"""What all parts may share and that knows none of them."""
