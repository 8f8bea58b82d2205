"""Tables behind the demo grid. Fictitious numbers around public geography; see ``grid.md``."""

from __future__ import annotations

from typing import Any

# Typical series reactance per circuit on 100 MVA: 0.30, 0.32, 0.40 and 0.40 ohm per km.
REACTANCE_PU_PER_KM = {500: 0.00012, 275: 0.00042, 154: 0.0017, 66: 0.0092}
RESISTANCE_RATIO = 0.1
SUN_H = (4.7, 18.7)
SUN_EXPONENT = 1.5
SITE_LOSS_RATIO = 0.015

# area, island, exchange rule (see shapes.py), Japanese, English
AREAS = (
    ("02", "50Hz", "as_reported", "東北", "Tohoku"),
    ("03", "50Hz", "rest", "東京", "Tokyo"),
    ("04", "60Hz", "as_reported", "中部", "Chubu"),
    ("06", "60Hz", "rest", "関西", "Kansai"),
    ("07", "60Hz", "as_reported", "中国", "Chugoku"),
    ("09", "60Hz", "as_reported", "九州", "Kyushu"),
)
AREAS_UNBUILT = (("10", "Okinawa", "none", "沖縄", "Okinawa"),)

# What the scenario year adds to a reported day. The floor is what must keep running less what
# pumped storage can take in: below it, exports rise to their limit and then the sun is curtailed.
SCENARIO_DEFAULT: dict[str, float] = {
    "exchange_limit_kw": 5_000_000.0,
    "solar_growth_ratio": 1.0,
    "dispatch_floor_kw": 0.0,
    "export_limit_kw": 0.0,
}
AREA_SCENARIOS: dict[str, dict[str, float]] = {
    "09": {
        "exchange_limit_kw": 2_750_000.0,
        "solar_growth_ratio": 1.9,
        "dispatch_floor_kw": 4_400_000.0,
        "export_limit_kw": 2_100_000.0,
    },
}

NEED_RULES: dict[str, Any] = {
    "local_margin_ratio": 0.03,
    "local_cap_price_ratio": 4.0,
    "local_cap_floor_jpy_per_kwh": 60.0,
    "need_tick_kw": 100.0,
    "surplus": {
        "areas": ["09"],
        "procured_ratio": 0.1,
        "cap_price_ratio": 1.0,
        "cap_floor_jpy_per_kwh": 8.0,
    },
    "net_peak": {
        "areas": ["03"],
        "threshold_ratio": 0.965,
        "procured_ratio": 0.12,
        "cap_price_ratio": 2.0,
        "cap_floor_jpy_per_kwh": 30.0,
    },
}

# bus, area, Japanese, English, longitude, latitude, weights of load, solar, wind, dispatchable
BUSES: tuple[tuple[Any, ...], ...] = (
    ("TH-KAMIKITA", "02", "上北平", "Kamikitadaira", 141.22, 40.72, 10, 9, 40, 8),
    ("TH-AKITA", "02", "秋田浜", "Akitahama", 140.10, 39.70, 9, 6, 34, 16),
    ("TH-MORIOKA", "02", "盛岡南", "Morioka-Minami", 141.15, 39.64, 11, 10, 8, 5),
    ("TH-MIYAGI", "02", "宮城野", "Miyagino", 140.95, 38.40, 14, 16, 3, 12),
    ("TH-SENDAI", "02", "仙台西", "Sendai-Nishi", 140.80, 38.22, 18, 9, 0, 4),
    ("TH-YAMAGATA", "02", "山形盆地", "Yamagata-Bonchi", 140.33, 38.28, 9, 7, 4, 2),
    ("TH-NIIGATA", "02", "越後平", "Echigodaira", 139.05, 37.88, 16, 6, 6, 20),
    ("TH-NAKADORI", "02", "中通", "Nakadori", 140.40, 37.52, 11, 25, 3, 5),
    ("TH-HAMADORI", "02", "浜通", "Hamadori", 140.94, 37.78, 2, 12, 2, 28),
    ("TK-FUTABANO", "03", "双葉野", "Futabano", 140.93, 37.32, 0, 1, 2, 9),
    ("TK-NASUNO", "03", "那須野", "Nasuno", 139.98, 36.87, 30, 90, 1, 6),
    ("TK-HITACHI", "03", "常陸浜", "Hitachihama", 140.58, 36.45, 30, 60, 20, 90),
    ("TK-KASHIMA", "03", "鹿島灘", "Kashimanada", 140.64, 35.94, 35, 55, 60, 150),
    ("TK-TSUKUBA", "03", "筑波野", "Tsukubano", 140.05, 36.16, 55, 120, 0, 0),
    ("TK-JOMO", "03", "上毛", "Jomo", 139.05, 36.38, 75, 120, 0, 40),
    ("TK-MUSASHINO", "03", "北武蔵", "Kita-Musashi", 139.40, 36.03, 110, 90, 0, 0),
    ("TK-ADACHI", "03", "東武蔵", "Higashi-Musashi", 139.82, 35.86, 95, 30, 0, 0),
    ("TK-TOSHIN", "03", "東京都心", "Central Tokyo", 139.76, 35.68, 190, 8, 0, 0),
    ("TK-TAMA", "03", "多摩", "Tama", 139.32, 35.64, 95, 30, 0, 0),
    ("TK-SAGAMI", "03", "相模", "Sagami", 139.48, 35.42, 100, 45, 0, 25),
    ("TK-KEIHIN", "03", "京浜", "Keihin", 139.72, 35.50, 60, 10, 0, 180),
    ("TK-KAI", "03", "甲斐", "Kai", 138.60, 35.63, 25, 50, 0, 45),
    ("TK-SURUGA", "03", "駿河東", "Suruga-Higashi", 138.90, 35.20, 30, 30, 1, 0),
    ("TK-UCHIBO", "03", "内房", "Uchibo", 140.02, 35.47, 55, 50, 4, 330),
    ("TK-BOSO", "03", "房総北", "Boso-Kita", 140.22, 35.55, 30, 80, 6, 40),
    ("TK-HOKUSO", "03", "北総", "Hokuso", 140.00, 35.73, 42, 35, 0, 0),
    ("TK-INZAI275", "03", "印旛野", "Imbano 275 kV", 140.125, 35.815, 0, 0, 0, 0),
    ("TK-INZAI66", "03", "印旛野配電", "Imbano 66 kV", 140.140, 35.800, 1.1, 2.0, 0, 0),
    ("TK-SHIROI66", "03", "白井台", "Shiroidai 66 kV", 140.060, 35.795, 0.9, 1.2, 0, 0),
    ("TK-MAKI66", "03", "牧野原", "Makinohara 66 kV", 140.185, 35.812, 0.7, 1.8, 0, 0),
    ("TK-NARITA154", "03", "成田台", "Naritadai 154 kV", 140.34, 35.78, 4, 8, 0, 0),
    ("TK-KATORI", "03", "香取野", "Katorino", 140.50, 35.88, 8, 30, 6, 0),
    ("CB-FUJIKAWA", "04", "富士川西", "Fujikawa-Nishi", 138.52, 35.06, 18, 20, 10, 10),
    ("CB-MIKAWA", "04", "三河湾", "Mikawawan", 137.10, 34.85, 32, 35, 20, 55),
    ("CB-NOBI", "04", "濃尾", "Nobi", 136.90, 35.17, 50, 45, 4, 35),
    ("KS-OMI", "06", "近江", "Omi", 136.05, 35.08, 14, 18, 0, 6),
    ("KS-WAKASA", "06", "若狭路", "Wakasaji", 135.62, 35.45, 3, 3, 2, 40),
    ("KS-YAMASHIRO", "06", "山城", "Yamashiro", 135.78, 34.76, 22, 22, 0, 4),
    ("KS-NANIWA", "06", "浪速", "Naniwa", 135.47, 34.68, 40, 20, 0, 20),
    ("KS-HARIMA", "06", "播磨灘", "Harimanada", 134.72, 34.83, 21, 37, 2, 30),
    ("CG-BIZEN", "07", "備前", "Bizen", 133.90, 34.68, 38, 42, 2, 34),
    ("CG-AKI", "07", "安芸", "Aki", 132.46, 34.42, 36, 30, 6, 30),
    ("CG-SUO", "07", "周防", "Suo", 131.52, 34.12, 26, 28, 12, 36),
    ("KY-KANMON", "09", "関門", "Kanmon", 130.86, 33.84, 16, 10, 8, 16),
    ("KY-CHIKUZEN", "09", "筑前", "Chikuzen", 130.42, 33.60, 26, 10, 0, 2),
    ("KY-ITOSHIMA", "09", "糸島浜", "Itoshimahama", 130.16, 33.55, 3, 4, 0, 0),
    ("KY-KARATSU", "09", "唐津湾", "Karatsuwan", 129.92, 33.48, 3, 4, 12, 30),
    ("KY-TOSU", "09", "鳥栖", "Tosu", 130.52, 33.38, 10, 11, 0, 0),
    ("KY-NAGASAKI", "09", "長崎港", "Nagasakiko", 129.92, 32.82, 8, 8, 20, 12),
    ("KY-HIGO", "09", "肥後", "Higo", 130.76, 32.80, 14, 17, 4, 6),
    ("KY-OITA", "09", "大分湾", "Oitawan", 131.62, 33.22, 9, 11, 4, 14),
    ("KY-HYUGA", "09", "日向灘", "Hyuganada", 131.42, 31.96, 7, 13, 8, 4),
    ("KY-SATSUMA", "09", "薩摩", "Satsuma", 130.50, 31.60, 9, 12, 24, 2),
    ("KY-SENDAIGAWA", "09", "川内川", "Sendaigawa", 130.20, 31.83, 2, 4, 20, 26),
)

# branch, from, to, kV, circuits, operating limit MW, Japanese, English
LINES: tuple[tuple[Any, ...], ...] = (
    ("L-TH-1", "TH-KAMIKITA", "TH-MORIOKA", 500, 2, 4000, "北奥幹線", "Hokuo Line"),
    ("L-TH-2", "TH-KAMIKITA", "TH-AKITA", 275, 2, 1400, "十和田線", "Towada Line"),
    ("L-TH-3", "TH-MORIOKA", "TH-MIYAGI", 500, 2, 4000, "北上川幹線", "Kitakamigawa Line"),
    ("L-TH-4", "TH-AKITA", "TH-YAMAGATA", 500, 2, 3000, "鳥海幹線", "Chokai Line"),
    ("L-TH-5", "TH-MIYAGI", "TH-SENDAI", 275, 4, 2800, "青葉線", "Aoba Line"),
    ("L-TH-6", "TH-SENDAI", "TH-YAMAGATA", 275, 2, 1400, "笹谷線", "Sasaya Line"),
    ("L-TH-7", "TH-YAMAGATA", "TH-NIIGATA", 500, 2, 3000, "朝日幹線", "Asahi Line"),
    ("L-TH-8", "TH-MIYAGI", "TH-HAMADORI", 500, 4, 6000, "阿武隈幹線", "Abukuma Line"),
    ("L-TH-9", "TH-SENDAI", "TH-NAKADORI", 275, 2, 1400, "白石線", "Shiroishi Line"),
    ("L-TH-10", "TH-NIIGATA", "TH-NAKADORI", 500, 2, 4000, "会津幹線", "Aizu Line"),
    ("L-TH-11", "TH-HAMADORI", "TH-NAKADORI", 500, 2, 4000, "安達太良幹線", "Adatara Line"),
    ("L-TIE-1", "TH-HAMADORI", "TK-FUTABANO", 500, 2, 2530, "浜双幹線", "Hamaso Tie"),
    ("L-TIE-2", "TH-NAKADORI", "TK-NASUNO", 500, 2, 3350, "白河幹線", "Shirakawa Tie"),
    ("L-TK-1", "TK-FUTABANO", "TK-HITACHI", 500, 4, 8000, "勿来幹線", "Nakoso Line"),
    ("L-TK-2", "TK-NASUNO", "TK-TSUKUBA", 500, 2, 5000, "鬼怒川幹線", "Kinugawa Line"),
    ("L-TK-3", "TK-NASUNO", "TK-JOMO", 500, 2, 5000, "足尾幹線", "Ashio Line"),
    ("L-TK-4", "TK-HITACHI", "TK-TSUKUBA", 500, 4, 10000, "那珂幹線", "Naka Line"),
    ("L-TK-5", "TK-HITACHI", "TK-KASHIMA", 500, 2, 5000, "鉾田幹線", "Hokota Line"),
    ("L-TK-6", "TK-TSUKUBA", "TK-ADACHI", 500, 4, 10000, "利根幹線", "Tone Line"),
    ("L-TK-7", "TK-JOMO", "TK-MUSASHINO", 500, 4, 8000, "神流幹線", "Kanna Line"),
    ("L-TK-8", "TK-MUSASHINO", "TK-ADACHI", 500, 2, 5000, "荒川幹線", "Arakawa Line"),
    ("L-TK-9", "TK-MUSASHINO", "TK-TAMA", 500, 2, 5000, "入間幹線", "Iruma Line"),
    ("L-TK-10", "TK-ADACHI", "TK-TOSHIN", 500, 4, 10000, "隅田線", "Sumida Line"),
    ("L-TK-11", "TK-TOSHIN", "TK-KEIHIN", 500, 4, 10000, "多摩川線", "Tamagawa Line"),
    ("L-TK-12", "TK-TAMA", "TK-SAGAMI", 500, 2, 5000, "境川幹線", "Sakaigawa Line"),
    ("L-TK-13", "TK-SAGAMI", "TK-KEIHIN", 500, 4, 10000, "鶴見幹線", "Tsurumi Line"),
    ("L-TK-14", "TK-TAMA", "TK-KAI", 500, 2, 5000, "大菩薩幹線", "Daibosatsu Line"),
    ("L-TK-15", "TK-KAI", "TK-SURUGA", 500, 2, 5000, "富士幹線", "Fuji Line"),
    ("L-TK-16", "TK-SURUGA", "TK-SAGAMI", 500, 2, 5000, "箱根幹線", "Hakone Line"),
    ("L-TK-17", "TK-UCHIBO", "TK-BOSO", 500, 4, 12000, "養老川幹線", "Yorogawa Line"),
    ("L-TK-18", "TK-UCHIBO", "TK-TOSHIN", 500, 4, 12000, "東京湾線", "Tokyo Bay Line"),
    ("L-TK-19", "TK-BOSO", "TK-HOKUSO", 500, 4, 10000, "下総幹線", "Shimosa Line"),
    ("L-TK-20", "TK-HOKUSO", "TK-ADACHI", 500, 4, 10000, "江戸川幹線", "Edogawa Line"),
    ("L-TK-21", "TK-KASHIMA", "TK-KATORI", 500, 4, 8000, "潮来幹線", "Itako Line"),
    ("L-TK-22", "TK-KATORI", "TK-BOSO", 500, 4, 8000, "九十九里幹線", "Kujukuri Line"),
    ("L-INZAI", "TK-HOKUSO", "TK-INZAI275", 275, 2, 565, "北総印旛線", "Hokuso-Imba Line"),
    ("L-NARITA", "TK-KATORI", "TK-NARITA154", 154, 2, 560, "香取成田線", "Katori-Narita Line"),
    ("L-IM-SH", "TK-INZAI66", "TK-SHIROI66", 66, 6, 420, "白井台線", "Shiroidai Line"),
    ("L-IM-MK", "TK-INZAI66", "TK-MAKI66", 66, 6, 420, "牧野原線", "Makinohara Line"),
    ("L-CB-1", "CB-FUJIKAWA", "CB-MIKAWA", 500, 2, 5000, "遠州幹線", "Enshu Line"),
    ("L-CB-2", "CB-MIKAWA", "CB-NOBI", 500, 4, 10000, "尾張幹線", "Owari Line"),
    ("L-TIE-3", "CB-NOBI", "KS-OMI", 500, 2, 4000, "関ケ原連系線", "Sekigahara Tie"),
    ("L-KS-1", "KS-OMI", "KS-YAMASHIRO", 500, 4, 8000, "宇治川幹線", "Ujigawa Line"),
    ("L-KS-2", "KS-WAKASA", "KS-YAMASHIRO", 500, 4, 10000, "丹波幹線", "Tamba Line"),
    ("L-KS-3", "KS-YAMASHIRO", "KS-NANIWA", 500, 4, 10000, "生駒幹線", "Ikoma Line"),
    ("L-KS-4", "KS-NANIWA", "KS-HARIMA", 500, 4, 8000, "六甲幹線", "Rokko Line"),
    ("L-KS-5", "KS-WAKASA", "KS-HARIMA", 500, 2, 5000, "但馬幹線", "Tajima Line"),
    ("L-TIE-4", "KS-HARIMA", "CG-BIZEN", 500, 2, 4300, "吉井川連系線", "Yoshiigawa Tie"),
    ("L-CG-1", "CG-BIZEN", "CG-AKI", 500, 2, 5000, "瀬戸内幹線", "Setouchi Line"),
    ("L-CG-2", "CG-AKI", "CG-SUO", 500, 2, 5000, "岩国幹線", "Iwakuni Line"),
    ("L-TIE-5", "CG-SUO", "KY-KANMON", 500, 2, 2900, "早鞆連系線", "Hayatomo Tie"),
    ("L-KY-1", "KY-KANMON", "KY-CHIKUZEN", 500, 2, 5000, "遠賀川幹線", "Ongagawa Line"),
    ("L-KY-2", "KY-KANMON", "KY-OITA", 500, 2, 4000, "周防灘幹線", "Suonada Line"),
    ("L-KY-3", "KY-CHIKUZEN", "KY-TOSU", 500, 2, 5000, "背振幹線", "Sefuri Line"),
    ("L-KY-4", "KY-CHIKUZEN", "KY-ITOSHIMA", 275, 2, 900, "今宿線", "Imajuku Line"),
    ("L-KY-5", "KY-ITOSHIMA", "KY-KARATSU", 275, 1, 700, "浜玉線", "Hamatama Line"),
    ("L-KY-6", "KY-KARATSU", "KY-TOSU", 500, 2, 5000, "松浦川幹線", "Matsuuragawa Line"),
    ("L-KY-7", "KY-KARATSU", "KY-NAGASAKI", 500, 2, 4000, "大村幹線", "Omura Line"),
    ("L-KY-8", "KY-TOSU", "KY-HIGO", 500, 2, 5000, "筑後幹線", "Chikugo Line"),
    ("L-KY-9", "KY-HIGO", "KY-SENDAIGAWA", 500, 2, 4000, "球磨幹線", "Kuma Line"),
    ("L-KY-10", "KY-SENDAIGAWA", "KY-SATSUMA", 500, 2, 4000, "甑線", "Koshiki Line"),
    ("L-KY-11", "KY-OITA", "KY-HYUGA", 500, 2, 3000, "豊後幹線", "Bungo Line"),
    ("L-KY-12", "KY-HYUGA", "KY-SATSUMA", 275, 2, 1400, "霧島線", "Kirishima Line"),
    ("L-KY-14", "KY-KARATSU", "KY-CHIKUZEN", 500, 2, 5000, "玄海幹線", "Genkai Line"),
    ("L-KY-13", "KY-HIGO", "KY-OITA", 500, 2, 4000, "阿蘇幹線", "Aso Line"),
)

# branch, from, to, short-circuit ratio, unit MVA, units, operating limit MW, Japanese, English
TRANSFORMERS: tuple[tuple[Any, ...], ...] = (
    (
        "T-INZAI",
        "TK-INZAI275",
        "TK-INZAI66",
        0.20,
        300,
        3,
        720,
        "印旛野変圧器 275/66 kV",
        "Imbano transformer 275/66 kV",
    ),
    (
        "T-MAKI",
        "TK-NARITA154",
        "TK-MAKI66",
        0.24,
        200,
        2,
        390,
        "牧野原変圧器 154/66 kV",
        "Makinohara transformer 154/66 kV",
    ),
)

# link, from, to, transfer published to the market MW, capacity MW, Japanese, English
LINKS: tuple[tuple[Any, ...], ...] = (
    (
        "FC-SURUGA",
        "CB-FUJIKAWA",
        "TK-SURUGA",
        300,
        2100,
        "駿河周波数変換設備",
        "Suruga frequency converter",
    ),
)

# element, branch, area of the owner, whether its owner buys relief when it is overloaded
ELEMENTS = (
    ("E-INZAI", "L-INZAI", "03", True),
    ("E-INZAI-TR", "T-INZAI", "03", True),
    ("E-MAKI-TR", "T-MAKI", "03", True),
    ("E-NARITA", "L-NARITA", "03", True),
    ("E-TH-TK-1", "L-TIE-1", "02", True),
    ("E-TH-TK-2", "L-TIE-2", "02", True),
    ("E-EDOGAWA", "L-TK-20", "03", True),
    ("E-SEKIGAHARA", "L-TIE-3", "04", True),
    ("E-YOSHIIGAWA", "L-TIE-4", "07", True),
    ("E-HAYATOMO", "L-TIE-5", "09", True),
    ("E-CHIKUGO", "L-KY-8", "09", True),
    ("E-IMAJUKU", "L-KY-4", "09", True),
)

# transfer, from area, to area, limit MW, monitored element
TRANSFERS = (
    ("X-02-03", "02", "03", 100, "E-TH-TK-1"),
    ("X-03-02", "03", "02", 300, "E-TH-TK-1"),
    ("X-04-06", "04", "06", 300, "E-SEKIGAHARA"),
    ("X-06-04", "06", "04", 300, "E-SEKIGAHARA"),
    ("X-06-07", "06", "07", 300, "E-YOSHIIGAWA"),
    ("X-07-06", "07", "06", 300, "E-YOSHIIGAWA"),
    ("X-07-09", "07", "09", 300, "E-HAYATOMO"),
    ("X-09-07", "09", "07", 300, "E-HAYATOMO"),
)

# (hour, share of the usual level)
SITE_PROFILES = {
    "inference": (
        (0, 0.84), (5, 0.80), (8, 0.88), (12, 0.90), (14, 0.91), (16.5, 0.92), (16.9, 0.92),
        (17.1, 1.04), (18.5, 1.055), (19.5, 1.06), (20.4, 1.05), (20.6, 0.93), (22, 0.90),
        (24, 0.86),
    ),
    "training": ((0, 1.0), (24, 1.0)),
    "mixed": ((0, 0.92), (5, 0.90), (9, 0.97), (14, 1.0), (19, 1.03), (22, 0.96), (24, 0.93)),
}  # fmt: skip

# site: Japanese, English
SITE_NAMES = {
    "inzai-dc": ("印西データセンター", "Inzai DC"),
    "shiroi-dc": ("白井データセンター", "Shiroi DC"),
    "newtown-dc": ("ニュータウン中央DC", "Newtown Central DC"),
    "makinohara-dc": ("牧の原データセンター", "Makinohara DC"),
    "imba-cloud": ("印旛クラウド", "Imba Cloud"),
    "shiroi-edge": ("白井エッジ", "Shiroi Edge"),
    "toshin-dc": ("都心データセンター", "Central Tokyo DC"),
    "tama-dc": ("多摩データセンター", "Tama DC"),
    "sendai-dc": ("仙台データセンター", "Sendai DC"),
    "kamikita-dc": ("上北グリーンDC", "Kamikita Green DC"),
    "akita-dc": ("秋田データセンター", "Akita DC"),
    "shirakawa-dc": ("白河データセンター", "Shirakawa DC"),
    "keihanna-dc": ("けいはんなDC", "Keihanna DC"),
    "osaka-dc": ("大阪データセンター", "Osaka DC"),
    "okayama-dc": ("岡山データセンター", "Okayama DC"),
    "itoshima-dc": ("糸島データセンター", "Itoshima DC"),
    "kitakyushu-dc": ("北九州データセンター", "Kitakyushu DC"),
    "kumamoto-dc": ("熊本データセンター", "Kumamoto DC"),
    "satsuma-dc": ("薩摩グリーンDC", "Satsuma Green DC"),
    "oita-edge": ("大分エッジ", "Oita Edge"),
}

# site, bus, scale class, contract MW, usual share of it, profile, offset on the map
SITES: tuple[tuple[Any, ...], ...] = (
    ("inzai-dc", "TK-INZAI66", "MEDIUM", 240, 0.85, "inference", (0.006, 0.004)),
    ("shiroi-dc", "TK-SHIROI66", "MEDIUM", 190, 0.85, "inference", (-0.008, 0.003)),
    ("newtown-dc", "TK-INZAI66", "MEDIUM", 170, 0.85, "inference", (-0.012, -0.003)),
    ("makinohara-dc", "TK-MAKI66", "MEDIUM", 200, 0.85, "inference", (0.007, 0.005)),
    ("imba-cloud", "TK-MAKI66", "MEDIUM", 120, 0.85, "inference", (-0.009, -0.006)),
    ("shiroi-edge", "TK-SHIROI66", "SMALL", 15, 0.8, "inference", (0.012, -0.004)),
    ("toshin-dc", "TK-TOSHIN", "SMALL", 60, 0.85, "mixed", (0.02, -0.03)),
    ("tama-dc", "TK-TAMA", "SMALL", 80, 0.8, "mixed", (-0.03, 0.02)),
    ("sendai-dc", "TH-SENDAI", "SMALL", 60, 0.55, "mixed", (0.05, 0.02)),
    ("kamikita-dc", "TH-KAMIKITA", "MEDIUM", 150, 0.45, "training", (0.06, 0.02)),
    ("akita-dc", "TH-AKITA", "SMALL", 40, 0.55, "training", (0.04, -0.04)),
    ("shirakawa-dc", "TH-NAKADORI", "SMALL", 80, 0.6, "mixed", (-0.15, -0.35)),
    ("keihanna-dc", "KS-YAMASHIRO", "SMALL", 90, 0.75, "mixed", (0.02, -0.02)),
    ("osaka-dc", "KS-NANIWA", "SMALL", 70, 0.8, "mixed", (0.03, 0.02)),
    ("okayama-dc", "CG-BIZEN", "SMALL", 30, 0.6, "mixed", (0.03, 0.02)),
    ("itoshima-dc", "KY-ITOSHIMA", "SMALL", 90, 0.5, "training", (0.03, -0.01)),
    ("kitakyushu-dc", "KY-KANMON", "MEDIUM", 140, 0.5, "mixed", (-0.04, 0.02)),
    ("kumamoto-dc", "KY-HIGO", "SMALL", 80, 0.55, "mixed", (0.06, 0.05)),
    ("satsuma-dc", "KY-SATSUMA", "SMALL", 60, 0.45, "training", (0.04, 0.03)),
    ("oita-edge", "KY-OITA", "SMALL", 10, 0.6, "mixed", (-0.03, 0.01)),
)

# The default day by the hour; straight lines between, read at the middle of each half hour.
DAY_HOURS = (0, 3, 5, 7, 9, 11, 13, 15, 17, 18.5, 20, 22, 24)
DAY_SOLAR_PEAK_GW = {"02": 6.1, "03": 13.0, "04": 8.3, "06": 5.0, "07": 5.2, "09": 8.4}
DAY_DEMAND_GW = {
    "02": (7.9, 7.4, 7.73, 9.07, 11.4, 11.93, 12.4, 12.33, 11.8, 11.0, 10.2, 9.3, 8.4),
    "03": (32.5, 28.0, 29.0, 35.17, 46.5, 48.5, 50.35, 50.9, 48.8, 46.0, 43.0, 38.25, 33.5),
    "04": (15.0, 13.88, 13.75, 16.83, 22.5, 23.38, 23.84, 23.33, 22.0, 20.5, 19.0, 17.5, 16.0),
    "06": (16.8, 15.3, 15.05, 18.53, 25.0, 26.07, 27.05, 27.0, 26.0, 24.25, 22.5, 20.25, 18.0),
    "07": (7.0, 6.47, 6.45, 7.6, 9.6, 9.93, 10.2, 10.1, 9.7, 9.1, 8.5, 7.85, 7.2),
    "09": (10.6, 9.85, 9.9, 11.77, 14.9, 15.8, 15.9, 16.23, 15.9, 15.1, 14.2, 12.75, 11.3),
}
DAY_WIND_GW = {
    "02": (0.35, 0.29, 0.26, 0.22, 0.21, 0.24, 0.26, 0.29, 0.31, 0.33, 0.35, 0.38, 0.4),
    "03": (0.05, 0.07, 0.08, 0.09, 0.1, 0.11, 0.11, 0.1, 0.1, 0.09, 0.08, 0.07, 0.06),
    "04": (0.02, 0.03, 0.04, 0.04, 0.05, 0.05, 0.06, 0.05, 0.05, 0.04, 0.03, 0.03, 0.02),
    "06": (0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01),
    "07": (0.04, 0.04, 0.05, 0.05, 0.05, 0.06, 0.06, 0.06, 0.06, 0.06, 0.05, 0.05, 0.05),
    "09": (0.12, 0.11, 0.1, 0.1, 0.09, 0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15),
}
DAY_IMPORT_GW = {
    "02": (-4.4, -4.49, -4.54, -4.6, -4.75, -4.9, -4.82, -4.74, -4.8, -4.95, -4.86, -4.67, -4.4),
    "03": (5.0, 4.85, 4.75, 4.65, 4.52, 4.36, 4.2, 4.35, 4.5, 4.55, 4.6, 4.75, 4.9),
    "04": (1.4, 1.19, 1.05, 0.91, 0.77, 0.75, 0.85, 0.95, 1.02, 1.06, 1.1, 1.15, 1.2),
    "06": (0.6, 1.53, 2.16, 2.78, 3.4, 3.8, 4.2, 4.6, 3.96, 3.48, 3.0, 1.6, 0.2),
    "07": (0.2, -0.05, -0.22, -0.38, -0.55, -0.72, -0.62, -0.25, 0.12, 0.29, 0.27, 0.23, 0.2),
    "09": (-1.6, -1.6, -1.5, -1.7, -1.8, -1.8, -1.8, -2.2, -2.3, -2.0, -1.9, -1.7, -1.4),
}
DAY_PRICE_JPY_PER_KWH = {
    "02": (11.0, 10.8, 10.6, 9.8, 7.5, 6.0, 6.0, 10.0, 19.0, 22.8, 21.0, 16.2, 12.5),
    "03": (13.0, 12.4, 12.0, 12.2, 12.5, 11.8, 13.2, 18.0, 25.0, 27.0, 24.3, 17.0, 13.0),
    "04": (12.5, 12.0, 11.7, 11.3, 11.0, 10.0, 11.0, 15.7, 22.0, 24.2, 21.5, 16.2, 12.5),
    "06": (12.0, 11.5, 11.2, 10.8, 10.5, 9.2, 9.8, 14.7, 22.0, 24.2, 21.5, 16.0, 12.0),
    "07": (12.0, 11.5, 11.2, 10.7, 10.0, 8.3, 8.8, 14.0, 22.0, 25.0, 22.5, 16.7, 12.0),
    "09": (11.5, 10.8, 10.2, 8.5, 4.2, 1.4, 1.3, 5.7, 24.0, 33.0, 29.0, 18.0, 12.0),
}
