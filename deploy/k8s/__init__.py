"""Kubernetes: manifests for kustomize, what generates parts of them, and the rules that they are held to."""
