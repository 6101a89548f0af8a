"""The balancer's configuration that ships, held against the balancer itself."""

import subprocess
from pathlib import Path

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "balancer" / "haproxy.cfg"


def test_the_balancer_takes_its_configuration_and_asks_a_route_that_there_is() -> None:
    checked = subprocess.run(
        ["haproxy", "-c", "-f", CONFIGURATION], check=False, capture_output=True, text=True, timeout=60
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "uri /health/ready" in CONFIGURATION.read_text()
