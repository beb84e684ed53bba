"""Property tests judge behaviour, not the machine: without a deadline per example, a busy machine fails nothing."""

from hypothesis import HealthCheck, settings

settings.register_profile("medpost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("medpost")
