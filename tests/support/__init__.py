"""What tests share: real servers, and ways to wait for what they do."""
