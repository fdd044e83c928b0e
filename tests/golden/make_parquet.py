"""Writes the same rows of text as parquet files in every compression, for tests/cli_prepare.rs.

python3 tests/golden/make_parquet.py    (pyarrow 26.0.1)
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WORDS = "the people of a nation hold peace and justice dear, and their laws say so".split()
folder = Path(__file__).parent / "parquet"
folder.mkdir(exist_ok=True)
rows = []
for i in range(60):
    rows.append(" ".join(WORDS[(i * 7 + j * j) % len(WORDS)] for j in range(40 + i % 9)) + ".")
rows[7] = None
rows[20] = rows[21]
with open(folder / "rows.txt", "w") as out:
    out.write("\n".join(row for row in rows if row))
table = pa.table({"id": pa.array(range(60)), "text": pa.array(rows)})
for name, settings in {
    "none": dict(compression="none"),
    "snappy": dict(compression="snappy"),
    "snappy_v2": dict(compression="snappy", data_page_version="2.0", data_page_size=512),
    "zstd": dict(compression="zstd", use_dictionary=False),
    "zstd_v2": dict(compression="zstd", data_page_version="2.0"),
    "gzip": dict(compression="gzip"),
    "lz4": dict(compression="lz4"),
}.items():
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=25, write_statistics=False, store_schema=False, **settings)
