"""How the platform is run: locally from wheels, and on Kubernetes."""
