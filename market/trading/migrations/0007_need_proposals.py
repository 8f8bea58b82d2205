"""Needs may be proposals, which become whole when approved; published results may be cancelled."""

from django.db import migrations, models

from market.trading.models import AUCTION_TRANSITIONS, NEED_TRANSITIONS


def edges(table):
    return ", ".join(f"'{a}>{b}'" for a, after in table.items() for b in after)


CREATE = f"""
DROP TRIGGER transitions ON trading_auction;
CREATE TRIGGER transitions BEFORE UPDATE ON trading_auction
    FOR EACH ROW EXECUTE FUNCTION guard_transitions({edges(AUCTION_TRANSITIONS)});

-- what is being delivered is settled, not cancelled
CREATE FUNCTION guard_result_cancel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF market_now() >= OLD.delivery_start THEN
        RAISE EXCEPTION '%: its delivery has begun, its result stands', OLD.code
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER result_stands BEFORE UPDATE ON trading_auction
    FOR EACH ROW WHEN (OLD.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK')
                       AND NEW.state = 'CANCELLED')
    EXECUTE FUNCTION guard_result_cancel();

DROP TRIGGER only_state ON trading_need;
DROP TRIGGER transitions ON trading_need;
CREATE TRIGGER transitions BEFORE UPDATE ON trading_need
    FOR EACH ROW EXECUTE FUNCTION guard_transitions({edges(NEED_TRANSITIONS)});
-- a proposal learns when it is published what it supersedes; nothing else ever changes
CREATE TRIGGER only_state BEFORE UPDATE ON trading_need
    FOR EACH ROW WHEN (OLD.state <> 'PROPOSED') EXECUTE FUNCTION guard_only_columns('state');
CREATE TRIGGER only_publication BEFORE UPDATE OR DELETE ON trading_need
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state', 'supersedes_id', 'available_at');
"""

DROP = """
DROP TRIGGER only_publication ON trading_need;
DROP TRIGGER only_state ON trading_need;
CREATE TRIGGER only_state BEFORE UPDATE OR DELETE ON trading_need
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns('state');
DROP TRIGGER result_stands ON trading_auction;
DROP FUNCTION guard_result_cancel();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0003_guards"),
        ("trading", "0006_guards_sealing"),
    ]

    operations = [
        migrations.AlterField(
            model_name="need",
            name="state",
            field=models.CharField(
                choices=[
                    ("PROPOSED", "承認待ち"),
                    ("REFUSED", "不成立"),
                    ("PUBLISHED", "公表"),
                    ("SUPERSEDED", "改訂済"),
                    ("WITHDRAWN", "撤回"),
                ],
                default="PUBLISHED",
                max_length=10,
                verbose_name="状態",
            ),
        ),
        migrations.AddConstraint(
            model_name="need",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "PROPOSED")),
                fields=("auction", "organisation", "code"),
                name="need_one_proposal",
            ),
        ),
        migrations.AddConstraint(
            model_name="need",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["PROPOSED", "REFUSED", "PUBLISHED", "SUPERSEDED", "WITHDRAWN"])
                ),
                name="need_state",
            ),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
