// What can be said of a connection in one word or number: the columns of tables, CSV and NDJSON, the keys of --sort and --by, the
// words of --where. One row a field, with the values that it can have; docs/CAPTURES.md lists them, held by a test.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/language.h"
#include "scan/connections/problems.h"
#include "scan/connections/record.h"

namespace tcpwhy::scan {

// monostate: not known for this connection (JSON null, an empty cell).
using FieldValue = std::variant<std::monostate, bool, std::int64_t, std::string, std::vector<std::string_view>>;

enum class Unit : std::uint8_t { none, bytes, nanoseconds, wall_time };
// What a field's value is, where it is known. An end (address and port), an address and a network are text in tables; --where compares
// them as what they are.
enum class Type : std::uint8_t { integer, boolean, text, list, end, address, network };

// A connection as the tables see it.
struct Row {
  const ConnectionRecord& record;
  std::span<const Problem> problems;
  std::optional<std::uint64_t> stream;  // its number in order of first frames, where that is known already
};

// Which values it can have.
struct Values {
  // All that a text or a list has, where they can be listed.
  std::vector<std::string_view> (*words)() = nullptr;
  // Of other texts: how one looks, and whether `text` looks so.
  base::Text form = {};
  bool (*may_be)(std::string_view text) = nullptr;
  std::int64_t least = 0, most = INT64_MAX;  // of an integer
  Side side = opener;                        // whose end, address or network it is
};

struct Field {
  std::string_view name;  // "client.bytes"; with _ for . in CSV and NDJSON
  base::Text what;        // for the docs and --fields
  Unit unit;
  FieldValue (*value)(const Row& row);
  Type type = Type::integer;
  Values values = {};
};
std::span<const Field> fields();
const Field* find_field(std::string_view name);         // takes . and _ alike
std::string_view nearest_field(std::string_view name);  // what was probably meant; may be empty
base::OwnedText hint_for_field(std::string_view name);  // where there is no such field
base::OwnedText values_in_words(const Field& field);    // "client, server", "a number", "0 to 65535"
bool has_few_values(const Field& field);                // so that connections can be grouped by it
bool is_for_every_table(
    const Field& field);  // one that nobody has to ask for: the rest is known late, or told by another

// The order of --sort: numbers by size, texts by the alphabet; what is not known stands last, whichever way.
bool comes_before(const FieldValue& a, const FieldValue& b, bool descending);

// As a cell: "1.02 s", "12.3 MB", a list with commas; escaped for a terminal.
std::string to_cell(const FieldValue& value, Unit unit);
// As CSV (RFC 4180) and JSON: plain numbers, nanoseconds.
std::string to_csv(const FieldValue& value);
std::string to_json(const FieldValue& value);

std::string column_name(std::string_view name);  // in CSV, NDJSON and Parquet: with _ for . and -
std::string csv_header(std::span<const Field* const> columns);
std::string csv_line(const Row& row, std::span<const Field* const> columns);
std::string ndjson_line(const Row& row, std::span<const Field* const> columns);

}  // namespace tcpwhy::scan
