"""PDFs as text. What reads them is imported where a PDF is read only, since it takes long."""
