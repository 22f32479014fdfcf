"""CiteSight for programs: the HTTP API under /api/v1 with its reference, and its tools for agents under /mcp."""
