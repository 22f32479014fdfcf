"""Several processes of the program behind one address: each serves any request, since what is under way in another is
asked of that one, and what is kept is in the database.
"""
