"""An empty FlexMeasures with one sensor: ``run_flexmeasures.py ACCESS.json``, in a peer's place.

The address of its database stands in SQLALCHEMY_DATABASE_URI. Written is how to post to it.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

from flexmeasures.app import create  # type: ignore[import-not-found]
from flexmeasures.data import db  # type: ignore[import-not-found]
from flexmeasures.data.models.generic_assets import (  # type: ignore[import-not-found]
    GenericAsset,
    GenericAssetType,
)
from flexmeasures.data.models.time_series import Sensor  # type: ignore[import-not-found]
from flexmeasures.data.models.user import Account  # type: ignore[import-not-found]
from flexmeasures.data.services.users import create_user  # type: ignore[import-not-found]

application = create()
with application.app_context():
    db.create_all()
    account = Account(name="bench")
    db.session.add(account)
    db.session.flush()
    user = create_user(
        username="bench",
        email="bench@example.com",
        password="a-password-of-a-bench",  # noqa: S106 - of a database that lives for minutes
        account_name="bench",
        check_email_deliverability=False,
    )
    asset = GenericAsset(
        name="site", generic_asset_type=GenericAssetType(name="building"), owner=account
    )
    sensor = Sensor(
        name="load", generic_asset=asset, event_resolution=timedelta(minutes=30), unit="kW"
    )
    db.session.add_all([asset, sensor])
    db.session.commit()
    found = {"path": f"/api/v3_0/sensors/{sensor.id}/data", "authorization": user.get_auth_token()}
Path(sys.argv[1]).write_text(json.dumps(found))
