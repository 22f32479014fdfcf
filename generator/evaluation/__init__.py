"""What is measured of answers, and over a set of questions."""
