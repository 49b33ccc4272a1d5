"""What people in the sample data are called, where they are, and what they write."""

from typing import Final

NAMES: Final = (
    *("สมชาย ใจดี", "สมหญิง รักไทย", "นภา ศรีสุข", "Somsak Wongsawat", "Anong Chaiyasit", "Kittipong Srisai"),
    *("Zoë Müller", "José Álvarez", "Nguyễn Văn An", "田中 花子", "Łukasz Żak", "O'Neill, Seán", "Ada Lovelace"),
)
MAILBOXES: Final = ("somchai", "napa.s", "anong", "zoe.mueller", "jose", "an.nguyen", "hanako", "lukasz", "ada")
DOMAINS: Final = ("example.com", "example.org", "example.co.th", "mail.example.net")
COMMENTS: Final = (
    "บริการดีมาก ประทับใจพนักงาน",
    "รอนานเกินไป แต่พนักงานสุภาพ",
    "Very good, thank you!",
    'The lid says "fragile", yet the box was open.',
    "Delivery took two weeks;\nthe second parcel never came.",
    "ราคาเหมาะสม จะกลับมาใช้บริการอีก 😀",
    "=1+1 is what I typed into the first box",
    "Prima Qualität, gerne wieder.",
    "ไม่มีข้อเสนอแนะ",
    "Please call before you come, the gate is closed at noon.",
)
PROVINCES: Final = (
    *("กรุงเทพมหานคร", "เชียงใหม่", "ขอนแก่น", "ชลบุรี", "นครราชสีมา", "ภูเก็ต", "ระยอง", "สงขลา", "สมุทรปราการ"),
    *("อยุธยา", "อุดรธานี", "สุราษฎร์ธานี"),
)
FACTORIES: Final = ("โรงงานบางปู", "โรงงานอมตะซิตี้", "Rayong Plant 2", "Lamphun Assembly", "โรงงานสระบุรี")
DEFECTS: Final = ("สายพานหลวม", "Oil leak at valve 3", "รอยแตกที่ฐาน", "Guard missing", "ไฟเตือนไม่ทำงาน", "Noise > 85 dB")
PRODUCTS: Final = ("ปั๊มน้ำ 2 แรงม้า", "Valve DN50", "มอเตอร์ 3 เฟส", "Hose, 25 m", "Filter F-7", "ตู้ควบคุม")
COMPANIES: Final = ("บริษัท รุ่งเรือง จำกัด", "Acme & Sons Ltd.", "Siam Parts Co.", "Größe GmbH", "ห้างหุ้นส่วน ทองดี")
BROWSERS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0",
)
