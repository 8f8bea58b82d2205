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
    "solar_growth_ratio": 1.0,
    "dispatch_floor_kw": 0.0,
    "export_limit_kw": 0.0,
}
AREA_SCENARIOS: dict[str, dict[str, float]] = {
    "09": {
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
    ("L-TIE-1", "TH-HAMADORI", "TK-FUTABANO", 500, 2, 2300, "浜双幹線", "Hamaso Tie"),
    ("L-TIE-2", "TH-NAKADORI", "TK-NASUNO", 500, 2, 3300, "白河幹線", "Shirakawa Tie"),
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
    ("L-TIE-3", "CB-NOBI", "KS-OMI", 500, 2, 2800, "関ケ原連系線", "Sekigahara Tie"),
    ("L-KS-1", "KS-OMI", "KS-YAMASHIRO", 500, 4, 8000, "宇治川幹線", "Ujigawa Line"),
    ("L-KS-2", "KS-WAKASA", "KS-YAMASHIRO", 500, 4, 10000, "丹波幹線", "Tamba Line"),
    ("L-KS-3", "KS-YAMASHIRO", "KS-NANIWA", 500, 4, 10000, "生駒幹線", "Ikoma Line"),
    ("L-KS-4", "KS-NANIWA", "KS-HARIMA", 500, 4, 8000, "六甲幹線", "Rokko Line"),
    ("L-KS-5", "KS-WAKASA", "KS-HARIMA", 500, 2, 5000, "但馬幹線", "Tajima Line"),
    ("L-TIE-4", "KS-HARIMA", "CG-BIZEN", 500, 2, 4000, "吉井川連系線", "Yoshiigawa Tie"),
    ("L-CG-1", "CG-BIZEN", "CG-AKI", 500, 2, 5000, "瀬戸内幹線", "Setouchi Line"),
    ("L-CG-2", "CG-AKI", "CG-SUO", 500, 2, 5000, "岩国幹線", "Iwakuni Line"),
    ("L-TIE-5", "CG-SUO", "KY-KANMON", 500, 2, 2800, "早鞆連系線", "Hayatomo Tie"),
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

# (hour, share of the usual level); read at the middle of each half hour
SITE_PROFILES = {
    "inference": (
        (0, 0.84), (5, 0.80), (8, 0.88), (12, 0.90), (14, 0.91), (16.5, 0.92), (16.9, 0.92),
        (17.1, 1.04), (18.5, 1.055), (19.5, 1.06), (20.4, 1.05), (20.6, 0.93), (22, 0.90),
        (24, 0.86),
    ),
    "training": ((0, 1.0), (24, 1.0)),
    "mixed": ((0, 0.92), (5, 0.90), (9, 0.97), (14, 1.0), (19, 1.03), (22, 0.96), (24, 0.93)),
}  # fmt: skip

# site, bus, Japanese, English, scale class, contract MW, usual share of it, profile, map offset
SITES: tuple[tuple[Any, ...], ...] = (
    ("inzai-dc", "TK-INZAI66", "印西データセンター", "Inzai DC", "MEDIUM", 240, 0.85, "inference", (0.006, 0.004)),
    ("shiroi-dc", "TK-SHIROI66", "白井データセンター", "Shiroi DC", "MEDIUM", 190, 0.85, "inference", (-0.008, 0.003)),
    ("newtown-dc", "TK-INZAI66", "ニュータウン中央DC", "Newtown Central DC", "MEDIUM", 170, 0.85, "inference", (-0.012, -0.003)),
    ("makinohara-dc", "TK-MAKI66", "牧の原データセンター", "Makinohara DC", "MEDIUM", 200, 0.85, "inference", (0.007, 0.005)),
    ("imba-cloud", "TK-MAKI66", "印旛クラウド", "Imba Cloud", "MEDIUM", 120, 0.85, "inference", (-0.009, -0.006)),
    ("shiroi-edge", "TK-SHIROI66", "白井エッジ", "Shiroi Edge", "SMALL", 15, 0.80, "inference", (0.012, -0.004)),
    ("toshin-dc", "TK-TOSHIN", "都心データセンター", "Central Tokyo DC", "SMALL", 60, 0.85, "mixed", (0.02, -0.03)),
    ("tama-dc", "TK-TAMA", "多摩データセンター", "Tama DC", "SMALL", 80, 0.80, "mixed", (-0.03, 0.02)),
    ("sendai-dc", "TH-SENDAI", "仙台データセンター", "Sendai DC", "SMALL", 60, 0.55, "mixed", (0.05, 0.02)),
    ("kamikita-dc", "TH-KAMIKITA", "上北グリーンDC", "Kamikita Green DC", "MEDIUM", 150, 0.45, "training", (0.06, 0.02)),
    ("akita-dc", "TH-AKITA", "秋田データセンター", "Akita DC", "SMALL", 40, 0.55, "training", (0.04, -0.04)),
    ("shirakawa-dc", "TH-NAKADORI", "白河データセンター", "Shirakawa DC", "SMALL", 80, 0.60, "mixed", (-0.15, -0.35)),
    ("keihanna-dc", "KS-YAMASHIRO", "けいはんなDC", "Keihanna DC", "SMALL", 90, 0.75, "mixed", (0.02, -0.02)),
    ("osaka-dc", "KS-NANIWA", "大阪データセンター", "Osaka DC", "SMALL", 70, 0.80, "mixed", (0.03, 0.02)),
    ("okayama-dc", "CG-BIZEN", "岡山データセンター", "Okayama DC", "SMALL", 30, 0.60, "mixed", (0.03, 0.02)),
    ("itoshima-dc", "KY-ITOSHIMA", "糸島データセンター", "Itoshima DC", "SMALL", 90, 0.50, "training", (0.03, -0.01)),
    ("kitakyushu-dc", "KY-KANMON", "北九州データセンター", "Kitakyushu DC", "MEDIUM", 140, 0.50, "mixed", (-0.04, 0.02)),
    ("kumamoto-dc", "KY-HIGO", "熊本データセンター", "Kumamoto DC", "SMALL", 80, 0.55, "mixed", (0.06, 0.05)),
    ("satsuma-dc", "KY-SATSUMA", "薩摩グリーンDC", "Satsuma Green DC", "SMALL", 60, 0.45, "training", (0.04, 0.03)),
    ("oita-edge", "KY-OITA", "大分エッジ", "Oita Edge", "SMALL", 10, 0.60, "mixed", (-0.03, 0.01)),
)  # fmt: skip

# area, demand GW, solar peak GW, wind GW, reported import GW, price JPY/kWh; knots by hour
DAY: tuple[tuple[Any, ...], ...] = (
    (
        "02",
        ((0, 7.9), (3, 7.4), (6, 7.9), (9, 11.4), (12, 12.2), (14, 12.6), (17, 11.8), (20, 10.2), (24, 8.4)),
        6.1,
        ((0, 0.35), (8, 0.2), (16, 0.3), (24, 0.4)),
        ((0, -4.4), (7, -4.6), (11, -4.9), (16, -4.7), (18.5, -4.95), (21, -4.8), (24, -4.4)),
        ((0, 11.0), (6, 10.5), (8, 9.0), (10, 6.0), (13, 6.0), (15, 10.0), (17, 19.0), (19, 24.0), (21, 18.0), (24, 12.5)),
    ),
    (
        "03",
        ((0, 32.5), (3, 28.0), (6, 29.5), (9, 46.5), (12, 49.5), (14, 51.2), (16, 50.6), (18, 47.0), (20, 43.0), (24, 33.5)),
        13.0,
        ((0, 0.05), (12, 0.12), (24, 0.06)),
        ((0, 5.0), (8, 4.6), (13, 4.2), (17, 4.5), (20, 4.6), (24, 4.9)),
        ((0, 13.0), (5, 12.0), (9, 12.5), (12, 11.5), (14, 15.0), (16, 21.0), (17.5, 27.0), (19.5, 27.0), (21, 19.0), (24, 13.0)),
    ),
    (
        "04",
        ((0, 15.0), (4, 13.5), (6, 14.0), (9, 22.5), (11.5, 23.6), (14, 24.0), (17, 22.0), (20, 19.0), (24, 16.0)),
        8.3,
        ((0, 0.02), (13, 0.06), (24, 0.02)),
        ((0, 1.4), (10, 0.7), (16, 1.0), (24, 1.2)),
        ((0, 12.5), (6, 11.5), (9, 11.0), (12, 9.5), (14, 12.5), (17, 22.0), (19, 25.0), (21, 18.0), (24, 12.5)),
    ),
    (
        "06",
        ((0, 16.8), (4, 14.8), (6, 15.3), (9, 25.0), (12, 26.6), (14, 27.5), (17, 26.0), (20, 22.5), (24, 18.0)),
        5.0,
        ((0, 0.01), (13, 0.02), (24, 0.01)),
        ((0, 0.6), (9, 3.4), (15, 4.6), (20, 3.0), (24, 0.2)),
        ((0, 12.0), (6, 11.0), (9, 10.5), (12, 8.5), (14, 11.0), (17, 22.0), (19, 25.0), (21, 18.0), (24, 12.0)),
    ),
    (
        "07",
        ((0, 7.0), (4, 6.3), (6, 6.6), (9, 9.6), (12, 10.1), (14, 10.3), (17, 9.7), (20, 8.5), (24, 7.2)),
        5.2,
        ((0, 0.04), (13, 0.06), (24, 0.05)),
        ((0, 0.2), (12, -0.8), (18, 0.3), (24, 0.2)),
        ((0, 12.0), (6, 11.0), (9, 10.0), (12, 7.5), (14, 10.0), (17, 22.0), (19, 26.0), (21, 19.0), (24, 12.0)),
    ),
    (
        "09",
        ((0, 10.6), (4, 9.6), (6, 10.2), (9, 14.9), (11, 15.8), (13, 15.9), (16, 16.4), (18, 15.4), (20, 14.2), (24, 11.3)),
        8.4,
        ((0, 0.12), (12, 0.08), (24, 0.15)),
        ((0, 1.2), (7, 0.8), (10, 0.2), (14, 0.4), (17, 2.0), (20, 1.8), (24, 1.2)),
        ((0, 11.5), (6, 10.0), (8, 7.0), (10, 1.5), (14, 1.2), (15.5, 8.0), (17, 24.0), (18.5, 33.0), (20, 29.0), (22, 18.0), (24, 12.0)),
    ),
)  # fmt: skip
