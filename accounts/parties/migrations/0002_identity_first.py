"""The tables of the identity packages come before the market's.

Each of their sixty changes renders every model that is related to a user: few here, later all.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("parties", "0001_initial"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("oauth2_provider", "0022_refreshtoken_token_family_index"),
        ("usersessions", "0001_initial"),
    ]
    operations = []
