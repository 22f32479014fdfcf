"""An encoder that works in another process, or on another machine, asked over HTTP: its service, and who asks it."""
