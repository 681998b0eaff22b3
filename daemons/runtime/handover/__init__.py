"""A restart without a loss: the document that goes to the next program, and executing that program."""
