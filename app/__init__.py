"""The application: settings, the answer service, the background indexer, the command line and the page."""
