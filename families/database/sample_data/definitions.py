"""The rows of the sample forms themselves: forms, sub-forms and fields."""

import json
from datetime import datetime, timedelta

from families.database import tables
from families.database.sample_data.forms import FORMS
from families.database.sample_data.ids import field_id, form_id, sub_form_id, user_id
from families.database.sample_data.rows import Rows
from families.database.sample_data.specs import FieldSpec, FormSpec


def add_forms(rows: Rows, until: datetime) -> None:
    for number, form in enumerate(FORMS, start=1):
        made = until - timedelta(days=740 - 5 * number)
        rows.add(
            tables.forms,
            id=form_id(number),
            title=form.title,
            description=form.description,
            roles_allowed=json.dumps(form.roles),
            settings=json.dumps({"telegram": {"enabled": number == 1, "botToken": "sample", "groupId": "sample"}}),
            created_by=user_id(form.creator),
            is_active=form.active,
            version=form.version,
            createdAt=made,
            updatedAt=made,
        )
        _add_parts(rows, number, form, made)


def _add_parts(rows: Rows, number: int, form: FormSpec, made: datetime) -> None:
    order = 0
    for order, field in enumerate(form.fields, start=1):
        _add_field(rows, number, order, field, None, made)
    for place, sub_form in enumerate(form.sub_forms, start=1):
        rows.add(
            tables.sub_forms,
            id=sub_form_id(number, place),
            form_id=form_id(number),
            title=sub_form.title,
            title_en=sub_form.title_en,
            order=place,
            createdAt=made,
            updatedAt=made,
        )
        for field in sub_form.fields:
            order += 1
            _add_field(rows, number, order, field, place, made)


def _add_field(rows: Rows, form: int, order: int, field: FieldSpec, sub_form: int | None, made: datetime) -> None:
    rules = {name: field.options[name] for name in ("min", "max") if name in field.options and field.type == "number"}
    rows.add(
        tables.fields,
        id=field_id(form, order),
        form_id=form_id(form),
        sub_form_id=None if sub_form is None else sub_form_id(form, sub_form),
        type=field.type,
        title=field.title,
        required=field.answered == 1,
        order=order,
        options=json.dumps(field.options, ensure_ascii=False),
        telegram_config=json.dumps({"enabled": False}),
        validation_rules=json.dumps(rules),
        show_in_table=order <= 5,  # noqa: PLR2004  (as many as the application's table shows)
        createdAt=made,
        updatedAt=made,
    )
