"""How models learn: from the log to a published version. Needs the extra `train`."""
