"""An explanation as a picture, drawn with Pillow alone: the page, its panels, letters and colours."""
