"""How retrieval improves with size and data: plans of many runs, their fits, and what the published figures say."""
