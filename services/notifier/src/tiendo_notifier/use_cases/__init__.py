"""What the notifier does: judge closings, deliver notices, keep destinations."""
