"""The sample forms. Their numbers, from 1, make their ids: f0000000-0000-4000-8000-000000000001 is the first."""

from typing import Final

from families.database.sample_data import words
from families.database.sample_data.specs import FieldSpec, FormSpec, SubFormSpec

CUSTOMER_SATISFACTION: Final = FormSpec(
    "แบบสำรวจความพึงพอใจลูกค้า",
    "Customer satisfaction survey, handed out after each visit.",
    ("general_user", "customer_service"),
    creator=3,
    fields=(
        FieldSpec("short_answer", "ชื่อ-นามสกุล", texts=words.NAMES),
        FieldSpec("email", "อีเมล", 0.8),
        FieldSpec("phone", "เบอร์โทรศัพท์", 0.6),
        FieldSpec("date", "วันที่ใช้บริการ"),
        FieldSpec("province", "จังหวัด", 0.9),
        FieldSpec("rating", "ความพึงพอใจโดยรวม", options={"max": 5}),
        FieldSpec("multiple_choice", "ช่องทาง", options={"choices": ["หน้าร้าน", "โทรศัพท์", "เว็บไซต์", "LINE"]}),
        FieldSpec("slider", "จะแนะนำเราไหม (0-10)", 0.95, {"min": 0, "max": 10, "step": 1}),
        FieldSpec("paragraph", "ข้อเสนอแนะ", 0.45, texts=words.COMMENTS),
    ),
    submissions=2400,
    minutes=4,
    version=3,
)

SITE_INSPECTION: Final = FormSpec(
    "Site inspection / ตรวจสอบหน้างาน",
    "Weekly walk through a plant, with a row for each defect.",
    ("technic",),
    creator=6,
    fields=(
        FieldSpec("factory", "Plant"),
        FieldSpec("datetime", "Inspected at"),
        FieldSpec("short_answer", "Inspector", texts=words.NAMES),
        FieldSpec("lat_long", "Position", 0.85),
        FieldSpec("number", "Temperature (°C)", options={"min": -10, "max": 60, "decimals": 1}),
        FieldSpec("rating", "Condition", options={"max": 5}),
        FieldSpec("image_upload", "Photo", 0.0),
        FieldSpec("file_upload", "Checklist", 0.0),
        FieldSpec("paragraph", "Remarks", 0.5, texts=words.COMMENTS),
    ),
    sub_forms=(
        SubFormSpec(
            "ข้อบกพร่อง",
            "Defects",
            rows=4,
            fields=(
                FieldSpec("short_answer", "Defect", texts=words.DEFECTS),
                FieldSpec("multiple_choice", "Severity", options={"choices": ["low", "medium", "high"]}),
                FieldSpec("date", "Due", 0.7),
            ),
        ),
    ),
    submissions=1100,
    minutes=18,
    version=2,
)

SALES_LEAD: Final = FormSpec(
    "Sales lead",
    "Who wants to buy what, and when to call.",
    ("sales", "marketing"),
    creator=4,
    fields=(
        FieldSpec("short_answer", "Company", texts=words.COMPANIES),
        FieldSpec("email", "Contact"),
        FieldSpec("phone", "Telephone", 0.7),
        FieldSpec("url", "Website", 0.6),
        FieldSpec("number", "Budget (THB)", 0.8, {"min": 1_000, "max": 5_000_000}),
        FieldSpec("time", "Best time to call", 0.75),
        FieldSpec(
            "multiple_choice",
            "Interested in",
            options={"choices": ["Pumps", "Valves", "Motors", "Service, spare parts"], "multiple": True},
        ),
        FieldSpec("slider", "Chance (%)", 0.9, {"min": 0, "max": 100, "step": 5}),
    ),
    sub_forms=(
        SubFormSpec(
            "รายการสินค้า",
            "Products",
            rows=3,
            fields=(
                FieldSpec("short_answer", "Product", texts=words.PRODUCTS),
                FieldSpec("number", "Quantity", options={"min": 1, "max": 400}),
                FieldSpec("number", "Price (THB)", 0.9, {"min": 90, "max": 90_000, "decimals": 2}),
            ),
        ),
    ),
    submissions=900,
    minutes=7,
)

MAINTENANCE_REQUEST: Final = FormSpec(
    "แจ้งซ่อม (Maintenance request)",
    "What is broken, and where.",
    ("general_user", "technic"),
    creator=6,
    fields=(
        FieldSpec("short_answer", "ผู้แจ้ง", texts=words.NAMES),
        FieldSpec("factory", "สถานที่"),
        FieldSpec("datetime", "พบเมื่อ"),
        FieldSpec("multiple_choice", "ความเร่งด่วน", options={"choices": ["ปกติ", "ด่วน", "ด่วนมาก"]}),
        FieldSpec("paragraph", "อาการ", texts=(*words.DEFECTS, *words.COMMENTS)),
        FieldSpec("image_upload", "รูปถ่าย", 0.0),
    ),
    submissions=800,
    minutes=5,
)

ONBOARDING: Final = FormSpec(
    "New employee",
    "Personal data of new colleagues: for administrators alone.",
    ("super_admin", "admin"),
    creator=1,
    fields=(
        FieldSpec("short_answer", "Full name", texts=words.NAMES),
        FieldSpec("email", "Private e-mail"),
        FieldSpec("phone", "Mobile"),
        FieldSpec("date", "First day"),
        FieldSpec("province", "Home province"),
        FieldSpec("file_upload", "Contract", 0.0),
    ),
    submissions=300,
    minutes=12,
)

EVERY_FIELD_TYPE: Final = FormSpec(
    "ครบทุกชนิดช่องข้อมูล (every field type)",
    "One field of each type, in the order of the application's palette.",
    ("general_user",),
    creator=2,
    fields=(
        FieldSpec("short_answer", "Short answer", texts=(*words.NAMES, *words.COMPANIES)),
        FieldSpec("paragraph", "Paragraph", 0.8, texts=words.COMMENTS),
        FieldSpec("email", "Email"),
        FieldSpec("phone", "Phone", 0.8),
        FieldSpec("number", "Number", options={"min": -1_000, "max": 1_000, "decimals": 3}),
        FieldSpec("url", "URL", 0.7),
        FieldSpec("file_upload", "File", 0.0),
        FieldSpec("image_upload", "Image", 0.0),
        FieldSpec("date", "Date"),
        FieldSpec("time", "Time"),
        FieldSpec("datetime", "Date and time"),
        FieldSpec("multiple_choice", "Choices", options={"choices": ["A", "B", "C, or so", "ง"], "multiple": True}),
        FieldSpec("rating", "Rating", options={"max": 10}),
        FieldSpec("slider", "Slider", options={"min": 0, "max": 100, "step": 1}),
        FieldSpec("lat_long", "Place"),
        FieldSpec("province", "Province"),
        FieldSpec("factory", "Factory"),
    ),
    submissions=500,
    minutes=10,
)

UNUSED: Final = FormSpec(
    "Exit interview (draft)",
    "Not open yet: nobody has filled it in.",
    ("admin",),
    creator=2,
    fields=(FieldSpec("paragraph", "Why do you leave?", texts=words.COMMENTS),),
    submissions=0,
    minutes=10,
    active=False,
)

FORMS: Final = (
    CUSTOMER_SATISFACTION,
    SITE_INSPECTION,
    SALES_LEAD,
    MAINTENANCE_REQUEST,
    ONBOARDING,
    EVERY_FIELD_TYPE,
    UNUSED,
)
