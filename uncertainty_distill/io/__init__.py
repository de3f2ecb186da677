"""Bytes on disks and buckets: files, archives, locks."""
