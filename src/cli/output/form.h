// What -o names, for the commands that show recordings and captures: one row a form. Who branches on forms asks the row.
#pragma once

#include <span>
#include <string_view>

#include "base/language.h"
#include "explain/explain.h"

namespace tcpwhy::cli {

class Context;

enum class Form { text, findings, tcpdump, strace, json, ndjson, csv, parquet };

// Writes recordings that are explained. `all`: of real programs, the timeline of every connection, not only of those with findings.
using ShowRecordings = void(std::span<const explain::Explained> explained, Context& context, bool all);

struct FormRow {
  Form form;
  std::string_view name;  // as -o has it
  base::Text help;
  ShowRecordings* show = nullptr;  // null: it shows packets, or a record for each connection of a capture
  bool of_records = false;         // a record for each connection of a capture
  bool of_a_connection = false;    // `read --stream` shows one connection of a capture so
};
std::span<const FormRow> form_rows();
const FormRow& row_of(Form form);
inline bool is_of_records(Form form) { return row_of(form).of_records; }

}  // namespace tcpwhy::cli
