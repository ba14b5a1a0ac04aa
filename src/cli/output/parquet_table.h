// A table of connections as a Parquet file, made by DuckDB's library, which is looked for when it is asked for.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/output/output.h"
#include "scan/tables/fields.h"

namespace tcpwhy::cli {

class ParquetTable {
 public:
  // `library`: as dlopen(3) takes it. Errors: ErrorKind::system where there is none, or it is another. The rows are put aside in a
  // file without a name below $TMPDIR, and the table is made in another: both are there from here on.
  static base::Result<std::unique_ptr<ParquetTable>> open(std::span<const scan::Field* const> columns,
                                                          const std::string& library = "libduckdb.so");
  ParquetTable() = default;
  ParquetTable(const ParquetTable&) = delete;
  ParquetTable& operator=(const ParquetTable&) = delete;
  virtual ~ParquetTable() = default;

  // The files that the library will open by name, /proc/self/fd/N, when write_to() is called.
  [[nodiscard]] virtual std::vector<int> files() const = 0;
  virtual base::Status add(std::string_view csv_lines) = 0;  // scan::csv_line() of the columns
  virtual base::Status write_to(Output& out) = 0;            // once, when all rows are there
};

}  // namespace tcpwhy::cli
