"""CiteSight's page: what `python app.py`, and a Hugging Face Space, runs; see app/web/serve.py."""

if __name__ == "__main__":
    import signal

    # Until app/web/interruption.py hears it: a traceback out of what is being imported helps nobody.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from app.web.serve import run

    run()
