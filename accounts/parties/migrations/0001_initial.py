import accounts.fields.keys
import accounts.parties.models
import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Organisation',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('code', models.SlugField(max_length=40, unique=True, verbose_name='コード')),
                ('kind', models.CharField(choices=[('TSO', '一般送配電事業者'), ('DC_OPERATOR', 'データセンター事業者'), ('FACILITY_OWNER', '施設所有者'), ('PATH_OWNER', '光回線所有者'), ('RETAILER', '小売電気事業者'), ('COMPUTE_CUSTOMER', '計算需要家'), ('AGGREGATOR', 'アグリゲーター')], max_length=20, verbose_name='種別')),
                ('name', models.CharField(max_length=120, verbose_name='名称')),
                ('name_en', models.CharField(max_length=120, verbose_name='名称（英語）')),
                ('registration_number', models.CharField(blank=True, help_text='適格請求書発行事業者の登録番号（T＋13桁）', max_length=14, validators=[accounts.parties.models.registration_validate], verbose_name='登録番号')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
            ],
            options={
                'verbose_name': '組織',
                'verbose_name_plural': '組織',
                'ordering': ['code'],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['TSO', 'DC_OPERATOR', 'FACILITY_OWNER', 'PATH_OWNER', 'RETAILER', 'COMPUTE_CUSTOMER', 'AGGREGATOR'])), name='organisation_kind'), models.UniqueConstraint(condition=models.Q(('kind', 'AGGREGATOR')), fields=('kind',), name='organisation_one_aggregator')],
            },
        ),
        migrations.CreateModel(
            name='User',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                ('display_name', models.CharField(blank=True, max_length=80, verbose_name='表示名')),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'verbose_name': '利用者',
                'verbose_name_plural': '利用者',
                'abstract': False,
                'constraints': [models.UniqueConstraint(django.db.models.functions.text.Lower('email'), condition=models.Q(('email', ''), _negated=True), name='user_email_once')],
            },
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to=settings.AUTH_USER_MODEL, verbose_name='利用者')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='parties.organisation', verbose_name='組織')),
                ('role', models.CharField(choices=[('operator_trader', '取引担当（事業者）'), ('operator_viewer', '閲覧（事業者）'), ('grid_planner', '系統計画（送配電）'), ('grid_approver', '承認（送配電）'), ('market_desk', '市場運用（アグリゲーター）'), ('settlement', '精算（アグリゲーター）'), ('auditor', '監査'), ('administrator', '管理者')], max_length=24, verbose_name='役割')),
                ('uid', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), editable=False, unique=True)),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
            ],
            options={
                'verbose_name': '所属',
                'verbose_name_plural': '所属',
                'constraints': [models.UniqueConstraint(fields=('user', 'organisation', 'role'), name='membership_once'), models.CheckConstraint(condition=models.Q(('role__in', ['operator_trader', 'operator_viewer', 'grid_planner', 'grid_approver', 'market_desk', 'settlement', 'auditor', 'administrator'])), name='membership_role')],
            },
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='invitations', to='parties.organisation', verbose_name='組織')),
                ('email', models.EmailField(max_length=254, verbose_name='メールアドレス')),
                ('role', models.CharField(choices=[('operator_trader', '取引担当（事業者）'), ('operator_viewer', '閲覧（事業者）'), ('grid_planner', '系統計画（送配電）'), ('grid_approver', '承認（送配電）'), ('market_desk', '市場運用（アグリゲーター）'), ('settlement', '精算（アグリゲーター）'), ('auditor', '監査'), ('administrator', '管理者')], max_length=24, verbose_name='役割')),
                ('nonce', models.UUIDField(default=uuid.uuid4, editable=False)),
                ('invited_by', models.CharField(max_length=80, verbose_name='招待者')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='招待日時')),
                ('expires_at', models.DateTimeField(verbose_name='期限')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='送信日時')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='取消日時')),
                ('accepted_at', models.DateTimeField(blank=True, null=True, verbose_name='承諾日時')),
                ('accepted_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='承諾者')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
            ],
            options={
                'verbose_name': '招待',
                'verbose_name_plural': '招待',
                'ordering': ['-created_at'],
                'constraints': [models.CheckConstraint(condition=models.Q(('role__in', ['operator_trader', 'operator_viewer', 'grid_planner', 'grid_approver', 'market_desk', 'settlement', 'auditor', 'administrator'])), name='invitation_role'), models.CheckConstraint(condition=models.Q(models.Q(('accepted_at', None), ('accepted_by', None)), models.Q(('accepted_at__isnull', False), ('accepted_by__isnull', False), ('revoked_at', None)), _connector='OR'), name='invitation_one_end'), models.UniqueConstraint(django.db.models.functions.text.Lower('email'), models.F('organisation'), models.F('role'), condition=models.Q(('accepted_at', None), ('revoked_at', None)), name='invitation_open_once')],
            },
        ),
        migrations.CreateModel(
            name='ApiClient',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_clients', to='parties.organisation', verbose_name='組織')),
                ('client_id', models.CharField(max_length=128, unique=True, verbose_name='クライアントID')),
                ('name', models.CharField(blank=True, max_length=120, verbose_name='名称')),
                ('client_secret', models.CharField(max_length=256, verbose_name='秘密鍵（ハッシュ）')),
                ('secret_made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='秘密鍵の作成日時')),
                ('previous_secret', models.CharField(blank=True, max_length=256, verbose_name='旧秘密鍵（ハッシュ）')),
                ('previous_until', models.DateTimeField(blank=True, null=True, verbose_name='旧秘密鍵の期限')),
                ('scopes', models.JSONField(default=list, verbose_name='スコープ')),
                ('role', models.CharField(blank=True, choices=[('operator_trader', '取引担当（事業者）'), ('operator_viewer', '閲覧（事業者）'), ('grid_planner', '系統計画（送配電）'), ('grid_approver', '承認（送配電）'), ('market_desk', '市場運用（アグリゲーター）'), ('settlement', '精算（アグリゲーター）'), ('auditor', '監査'), ('administrator', '管理者')], help_text='APIで行えること。空欄ならAPIは使えない', max_length=24, verbose_name='役割')),
                ('is_active', models.BooleanField(default=True, verbose_name='有効')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('token_epoch', models.PositiveIntegerField(default=0, verbose_name='トークンの世代')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='作成日時')),
            ],
            options={
                'verbose_name': 'APIクライアント',
                'verbose_name_plural': 'APIクライアント',
                'ordering': ['client_id'],
                'constraints': [models.CheckConstraint(condition=models.Q(('role__in', ['', 'operator_trader', 'operator_viewer', 'grid_planner', 'grid_approver', 'market_desk', 'settlement', 'auditor', 'administrator'])), name='apiclient_role'), models.CheckConstraint(condition=models.Q(models.Q(('previous_secret', ''), ('previous_until', None)), models.Q(models.Q(('previous_secret', ''), _negated=True), ('previous_until__isnull', False)), _connector='OR'), name='apiclient_previous_secret_ends')],
            },
        ),
    ]
