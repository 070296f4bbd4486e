"""django-q2 looks its queue up by key and lock, without an index of its own."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("processing", "0001_initial"),
        ("django_q", "0018_task_success_index"),
    ]

    operations = [
        migrations.RunSQL(
            sql="CREATE INDEX mediahub_ormq_key_lock ON django_q_ormq (key, lock)",
            reverse_sql="DROP INDEX mediahub_ormq_key_lock",
        ),
    ]
