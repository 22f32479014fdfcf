"""CiteSight's page: what `python app.py`, and a Hugging Face Space, runs; see app/web/serve.py."""

from app.web.serve import run

if __name__ == "__main__":
    run()
