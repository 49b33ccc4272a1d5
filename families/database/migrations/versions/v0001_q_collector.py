"""Q-Collector's tables, as far as jobs touch them."""

from typing import Final

from alembic import op

revision = "0001"
down_revision = None

ENUMS: Final = {
    "enum_users_role": "'super_admin', 'admin', 'customer_service', 'sales', 'marketing', 'technic', 'general_user'",
    "enum_fields_type": (
        "'short_answer', 'paragraph', 'email', 'phone', 'number', 'url', 'file_upload', 'image_upload', 'date', 'time', "
        "'datetime', 'multiple_choice', 'rating', 'slider', 'lat_long', 'province', 'factory'"
    ),
    "enum_submissions_status": "'draft', 'submitted', 'approved', 'rejected', 'archived'",
    "enum_submission_data_value_type": "'string', 'number', 'boolean', 'date', 'json', 'file'",
}

STAMPS: Final = '"createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now()'

TABLES: Final = {
    "users": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        username varchar(50) NOT NULL UNIQUE,
        email varchar(255) NOT NULL UNIQUE,
        password_hash varchar(255) NOT NULL,
        full_name_enc text,
        role enum_users_role NOT NULL DEFAULT 'general_user',
        phone_enc text,
        is_active boolean NOT NULL DEFAULT true,
        last_login_at timestamptz,
        "twoFactorSecret" text,
        "twoFactorEnabled" boolean NOT NULL DEFAULT false,
        "twoFactorBackupCodes" text,
        "twoFactorEnabledAt" timestamptz,
        requires_2fa_setup boolean NOT NULL DEFAULT false,
        "telegramUserId" varchar(50),
        "telegramUsername" varchar(50),
        "firstName" varchar(100),
        "lastName" varchar(100),
        department varchar(100),
        "notificationPreferences" text""",
    "sessions": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
        token text NOT NULL UNIQUE,
        refresh_token text NOT NULL,
        expires_at timestamptz NOT NULL,
        ip_address inet,
        user_agent text,
        last_used_at timestamptz NOT NULL DEFAULT now()""",
    "forms": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        title varchar(255) NOT NULL,
        description text,
        roles_allowed jsonb NOT NULL DEFAULT '["general_user"]',
        settings jsonb NOT NULL DEFAULT '{}',
        created_by uuid REFERENCES users ON DELETE SET NULL ON UPDATE CASCADE,
        is_active boolean NOT NULL DEFAULT true,
        version integer NOT NULL DEFAULT 1,
        table_name varchar(255),
        data_retention_years integer NOT NULL DEFAULT 2""",
    "sub_forms": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        form_id uuid NOT NULL REFERENCES forms ON DELETE CASCADE ON UPDATE CASCADE,
        title varchar(255) NOT NULL,
        title_en varchar(255),
        description text,
        "order" integer NOT NULL DEFAULT 0,
        table_name varchar(63)""",
    "fields": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        form_id uuid NOT NULL REFERENCES forms ON DELETE CASCADE ON UPDATE CASCADE,
        sub_form_id uuid REFERENCES sub_forms ON DELETE CASCADE ON UPDATE CASCADE,
        type enum_fields_type NOT NULL,
        title varchar(255) NOT NULL,
        placeholder varchar(255),
        required boolean NOT NULL DEFAULT false,
        "order" integer NOT NULL DEFAULT 0,
        options jsonb NOT NULL DEFAULT '{}',
        show_condition jsonb,
        telegram_config jsonb,
        validation_rules jsonb NOT NULL DEFAULT '{}',
        show_in_table boolean NOT NULL DEFAULT false,
        send_telegram boolean NOT NULL DEFAULT false,
        telegram_order integer NOT NULL DEFAULT 0,
        telegram_prefix varchar(100)""",
    "submissions": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        form_id uuid NOT NULL REFERENCES forms ON DELETE CASCADE ON UPDATE CASCADE,
        submitted_by uuid REFERENCES users ON DELETE SET NULL ON UPDATE CASCADE,
        status enum_submissions_status NOT NULL DEFAULT 'submitted',
        ip_address inet,
        user_agent text,
        metadata jsonb NOT NULL DEFAULT '{}',
        submitted_at timestamptz NOT NULL DEFAULT now(),
        parent_id uuid REFERENCES submissions ON DELETE CASCADE ON UPDATE CASCADE""",
    "submission_data": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        submission_id uuid NOT NULL REFERENCES submissions ON DELETE CASCADE ON UPDATE CASCADE,
        field_id uuid NOT NULL REFERENCES fields ON DELETE CASCADE ON UPDATE CASCADE,
        value_text text,
        value_encrypted text,
        value_type enum_submission_data_value_type NOT NULL DEFAULT 'string',
        is_encrypted boolean NOT NULL DEFAULT false""",
    "files": """
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        submission_id uuid REFERENCES submissions ON DELETE CASCADE ON UPDATE CASCADE,
        field_id uuid NOT NULL REFERENCES fields ON DELETE CASCADE ON UPDATE CASCADE,
        filename varchar(255) NOT NULL,
        original_name varchar(255) NOT NULL,
        mime_type varchar(100) NOT NULL,
        size bigint NOT NULL,
        minio_path text NOT NULL,
        minio_bucket varchar(100) NOT NULL DEFAULT 'qcollector',
        checksum varchar(64),
        uploaded_by uuid REFERENCES users ON DELETE SET NULL ON UPDATE CASCADE,
        uploaded_at timestamptz NOT NULL DEFAULT now(),
        blur_preview text,
        thumbnail_path text,
        full_path text""",
}

INDEXES: Final = {
    "sessions": ("user_id", "expires_at"),
    "forms": ("created_by",),
    "sub_forms": ("form_id",),
    "fields": ("form_id", "sub_form_id"),
    "submissions": ("form_id", "submitted_by", "status", "submitted_at", "parent_id"),
    "submission_data": ("submission_id", "field_id"),
    "files": ("submission_id", "field_id", "uploaded_by"),
}


def upgrade() -> None:
    for enum, words in ENUMS.items():
        op.execute(f"CREATE TYPE {enum} AS ENUM ({words})")
    for table, columns in TABLES.items():
        op.execute(f"CREATE TABLE {table} ({columns}, {STAMPS})")
    for table, names in INDEXES.items():
        for name in names:
            op.execute(f"CREATE INDEX {table}_{name} ON {table} ({name})")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
    for enum in ENUMS:
        op.execute(f"DROP TYPE {enum}")
