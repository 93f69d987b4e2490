"""What is published: CloudEvents, one typed document for each thing that happened."""
