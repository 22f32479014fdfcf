"""The answer service: from a photo and a question to passages and an answer, and what is indexed and ingested for it.

The only place that knows retriever, generator and catalogue at once. Knows nothing of Gradio, pages or HTTP.
"""
