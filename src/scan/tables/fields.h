// What can be said of a connection in one word or number: the columns of tables, CSV and NDJSON, the keys of --sort,
// the words of
// --where. One row a field; docs/CAPTURES.md lists them, held by a test.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scan/connections/problems.h"
#include "scan/connections/record.h"

namespace tcpwhy::scan {

// monostate: not known for this connection (JSON null, an empty cell).
using FieldValue = std::variant<std::monostate, bool, std::int64_t, std::string, std::vector<std::string_view>>;

enum class Unit : std::uint8_t { none, bytes, nanoseconds, wall_time };
// What a field's value is, where it is known.
enum class Type : std::uint8_t { integer, boolean, text, list };

// A connection as the tables see it.
struct Row {
  const ConnectionRecord& record;
  std::span<const Problem> problems;
  std::optional<std::uint64_t> stream;  // its number in order of first frames, where that is known already
};

struct Field {
  std::string_view name;  // "client.bytes"; with _ for . in CSV and NDJSON
  std::string_view what;  // for the docs
  Unit unit;
  FieldValue (*value)(const Row& row);
  Type type = Type::integer;
};
std::span<const Field> fields();
const Field* find_field(std::string_view name);  // takes . and _ alike

// As a cell: "1.02 s", "12.3 MB", a list with commas; escaped for a terminal.
std::string to_cell(const FieldValue& value, Unit unit);
// As CSV (RFC 4180) and JSON: plain numbers, nanoseconds.
std::string to_csv(const FieldValue& value);
std::string to_json(const FieldValue& value);

std::string column_name(const Field& field);  // in CSV, NDJSON and Parquet: with _ for .
std::string csv_header(std::span<const Field* const> columns);
std::string csv_line(const Row& row, std::span<const Field* const> columns);
std::string ndjson_line(const Row& row, std::span<const Field* const> columns);

}  // namespace tcpwhy::scan
