"""What is deployed: images, compose and Kubernetes files, alerts, and the job that prepares servers."""
