"""HTTP for what this app keeps: serializers, the upload door, and the files themselves."""
