"""The notifier's tables: written by the judge's transaction and the sender, read by the lists."""
