"""Q-Collector's tables, as far as jobs touch them: the one place that migrations, exports and analytics go by.

Where the application keeps what a column does not tell:

- An answer is a row of submission_data. Answers to fields of the types in `ENCRYPTED_TYPES` are in `value_encrypted`
  (see families.database.encryption), all others in `value_text`, as text; `value_type` says how to read it. A list of choices
  and a place are JSON; the answer to an upload field is a JSON list of ids of `files`.
- A row of a sub-form is a submission of the same form that has a parent; its answers are to fields with a `sub_form_id`.
- When somebody began to fill in a form is `submissions.metadata`, under the key "startedAt", as ISO 8601.
- A file lies at `files.minio_path`, seen from UPLOAD_DIR, as its smaller copies do at `thumbnail_path` and `full_path`.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, Text
from sqlalchemy.dialects.postgresql import INET, JSONB

from families.database.columns import (
    WHEN,
    Words,
    document,
    flag,
    key,
    moment,
    number,
    optional,
    reference,
    required,
    stamps,
    title,
    words,
)

metadata: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ix": "%(table_name)s_%(column_0_name)s",
    }
)

ROLE: Final = Words(
    "enum_users_role",
    ("super_admin", "admin", "customer_service", "sales", "marketing", "technic", "general_user"),
)
FIELD_TYPE: Final = Words(
    "enum_fields_type",
    (
        *(
            "short_answer",
            "paragraph",
            "email",
            "phone",
            "number",
            "url",
            "file_upload",
            "image_upload",
            "date",
            "time",
        ),
        *("datetime", "multiple_choice", "rating", "slider", "lat_long", "province", "factory"),
    ),
)
STATUS: Final = Words("enum_submissions_status", ("draft", "submitted", "approved", "rejected", "archived"))
VALUE_TYPE: Final = Words("enum_submission_data_value_type", ("string", "number", "boolean", "date", "json", "file"))
ENUMS: Final = (ROLE, FIELD_TYPE, STATUS, VALUE_TYPE)

ENCRYPTED_TYPES: Final = frozenset({"email", "phone", "short_answer", "paragraph"})
"""Types of fields whose answers are stored encrypted."""

users: Final = Table(
    "users",
    metadata,
    key(),
    Column("username", String(50), nullable=False, unique=True),
    Column("email", String(255), nullable=False, unique=True),
    required("password_hash", String(255)),
    optional("full_name_enc"),
    words("role", ROLE, "general_user"),
    optional("phone_enc"),
    flag("is_active", "true"),
    optional("last_login_at", WHEN),
    optional("twoFactorSecret"),
    flag("twoFactorEnabled", "false"),
    optional("twoFactorBackupCodes"),
    optional("twoFactorEnabledAt", WHEN),
    flag("requires_2fa_setup", "false"),
    optional("telegramUserId", String(50)),
    optional("telegramUsername", String(50)),
    optional("firstName", String(100)),
    optional("lastName", String(100)),
    optional("department", String(100)),
    optional("notificationPreferences"),
    *stamps(),
)

sessions: Final = Table(
    "sessions",
    metadata,
    key(),
    reference("user_id", "users"),
    Column("token", Text, nullable=False, unique=True),
    required("refresh_token", Text),
    required("expires_at", WHEN),
    optional("ip_address", INET),
    optional("user_agent"),
    moment("last_used_at"),
    *stamps(),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

forms: Final = Table(
    "forms",
    metadata,
    key(),
    title("title"),
    optional("description"),
    document("roles_allowed", '["general_user"]'),
    document("settings"),
    reference("created_by", "users", keep=True),
    flag("is_active", "true"),
    number("version", 1),
    optional("table_name", String(255)),
    number("data_retention_years", 2),
    *stamps(),
    Index(None, "created_by"),
)

sub_forms: Final = Table(
    "sub_forms",
    metadata,
    key(),
    reference("form_id", "forms"),
    title("title"),
    optional("title_en", String(255)),
    optional("description"),
    number("order", 0),
    optional("table_name", String(63)),
    *stamps(),
    Index(None, "form_id"),
)

fields: Final = Table(
    "fields",
    metadata,
    key(),
    reference("form_id", "forms"),
    reference("sub_form_id", "sub_forms", nullable=True),
    required("type", FIELD_TYPE),
    title("title"),
    optional("placeholder", String(255)),
    flag("required", "false"),
    number("order", 0),
    document("options"),
    optional("show_condition", JSONB),
    optional("telegram_config", JSONB),
    document("validation_rules"),
    flag("show_in_table", "false"),
    flag("send_telegram", "false"),
    number("telegram_order", 0),
    optional("telegram_prefix", String(100)),
    *stamps(),
    Index(None, "form_id"),
    Index(None, "sub_form_id"),
)

submissions: Final = Table(
    "submissions",
    metadata,
    key(),
    reference("form_id", "forms"),
    reference("submitted_by", "users", keep=True),
    words("status", STATUS, "submitted"),
    optional("ip_address", INET),
    optional("user_agent"),
    document("metadata"),
    moment("submitted_at"),
    reference("parent_id", "submissions", nullable=True),
    *stamps(),
    Index(None, "form_id"),
    Index(None, "submitted_by"),
    Index(None, "status"),
    Index(None, "submitted_at"),
    Index(None, "parent_id"),
)

submission_data: Final = Table(
    "submission_data",
    metadata,
    key(),
    reference("submission_id", "submissions"),
    reference("field_id", "fields"),
    optional("value_text"),
    optional("value_encrypted"),
    words("value_type", VALUE_TYPE, "string"),
    flag("is_encrypted", "false"),
    *stamps(),
    Index(None, "submission_id"),
    Index(None, "field_id"),
)

files: Final = Table(
    "files",
    metadata,
    key(),
    reference("submission_id", "submissions", nullable=True),
    reference("field_id", "fields"),
    title("filename"),
    title("original_name"),
    title("mime_type", 100),
    required("size", BigInteger),
    required("minio_path", Text),
    required("minio_bucket", String(100), "'qcollector'"),
    optional("checksum", String(64)),
    reference("uploaded_by", "users", keep=True),
    moment("uploaded_at"),
    optional("blur_preview"),
    optional("thumbnail_path"),
    optional("full_path"),
    *stamps(),
    Index(None, "submission_id"),
    Index(None, "field_id"),
    Index(None, "uploaded_by"),
)
