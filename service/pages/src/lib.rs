//! The analysts' pages: from what the queue knows to HTML. Not here: HTTP, and who may see what.
