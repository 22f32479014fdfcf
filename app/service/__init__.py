"""The answer service: from a photo and a question to passages and an answer, and what is indexed and ingested for it.

It puts retriever, generator and catalogue together. Knows nothing of Gradio, pages or HTTP.
"""
