"""The notifier's rules, without anything around them."""
