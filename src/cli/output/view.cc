#include "cli/output/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <utility>

#include "base/format.h"
#include "cli/choice.h"
#include "render/documents/json.h"
#include "render/reports/findings_report.h"
#include "render/reports/lab_report.h"
#include "render/reports/trace_report.h"
#include "render/strace/strace.h"
#include "render/timeline/text.h"

namespace tcpwhy::cli {
namespace {

render::TextOptions text_options(const Context& context) {
  return {.language = context.language(), .width = context.width(), .color = context.color()};
}

void show_text(std::span<const explain::Explained> explained, Context& context, bool all) {
  render::TextOptions options = text_options(context);
  options.elide_opening = explained.size() > 1;
  // A recording of real programs has no scenario.
  if (explained.size() == 1 && explained.front().recording->provenance.scenario.empty()) {
    context.out.write(render::trace_report(explained.front(), {.text = options, .all = all}));
    return;
  }
  context.out.write(render::lab_report(explained, options));
}

void show_findings(std::span<const explain::Explained> explained, Context& context, bool) {
  for (const auto& one : explained) context.out.write(render::findings_report(one, text_options(context)));
}

void show_json(std::span<const explain::Explained> explained, Context& context, bool) {
  render::write_json_report(explained, context.language(),
                            [&context](std::string_view text) { context.out.write(text); });
}

void show_strace(std::span<const explain::Explained> explained, Context& context, bool) {
  const auto has_calls = [](const explain::Explained& one) { return one.recording->provenance.has_calls(); };
  if (std::ranges::none_of(explained, has_calls))
    warn({"-o strace: no calls were recorded", "-o strace：没有记录到调用"});
  for (const auto& one : explained)
    render::write_strace(*one.recording, [&context](std::string_view text) { context.out.write(text); });
}

constexpr FormRow rows[] = {
    {.form = Form::text,
     .name = "text",
     .help = {"the timeline and what it means (text, the default)", "时间线及其含义（text，默认）"},
     .show = show_text,
     .of_a_connection = true},
    {.form = Form::findings,
     .name = "findings",
     .help = {"the findings alone, worst first (findings)", "只有发现，最严重的在前（findings）"},
     .show = show_findings},
    {.form = Form::tcpdump,
     .name = "tcpdump",
     .help = {"tcpdump's lines (tcpdump)", "tcpdump 的行（tcpdump）"},
     .of_a_connection = true},
    {.form = Form::strace,
     .name = "strace",
     .help = {"the calls as strace has them (strace)", "strace 写法的调用（strace）"},
     .show = show_strace},
    {.form = Form::json,
     .name = "json",
     .help = {"a JSON document (json)", "JSON 文档（json）"},
     .show = show_json,
     .of_a_connection = true},
    {.form = Form::ndjson, .name = "ndjson", .help = {"ndjson", "ndjson"}, .of_records = true},
    {.form = Form::csv, .name = "csv", .help = {"csv", "csv"}, .of_records = true},
    {.form = Form::parquet,
     .name = "parquet",
     .help = {"parquet, if DuckDB's library is there", "parquet（需要 DuckDB 的库）"},
     .of_records = true},
};

// tcpdump(1): -t, -tt, -ttt, -tttt, -ttttt.
render::TcpdumpTime time_style(int flags) {
  using enum render::TcpdumpTime;
  constexpr std::array styles = {time_of_day, none, epoch, since_previous, date_and_time, since_first};
  return styles[std::min<std::size_t>(static_cast<std::size_t>(flags), styles.size() - 1)];
}

constexpr bool in_order = [] {
  for (std::size_t i = 0; i < std::size(rows); ++i)
    if (static_cast<std::size_t>(rows[i].form) != i) return false;
  return true;
}();
static_assert(in_order, "row_of() looks a form up by its number");

}  // namespace

std::span<const FormRow> form_rows() { return rows; }

const FormRow& row_of(Form form) { return rows[static_cast<std::size_t>(form)]; }

render::TcpdumpOptions View::tcpdump() const {
  render::TcpdumpOptions options;
  options.absolute_sequence_numbers = absolute_sequence_numbers;
  options.link_header = link_header;
  options.time = time_style(time_flags);
  return options;
}

void add_view(CLI::App& app, View& view, bool tables) {
  Choices<Form> forms;
  base::OwnedText shown, records;
  for (const FormRow& row : form_rows()) {
    if (row.of_records && !tables) continue;
    forms.emplace_back(row.name, row.form);
    (row.of_records ? records : shown).join({", ", "、"}, row.help);
  }
  base::OwnedText help = base::format({"What to show: {}", "显示什么：{}"}, shown);
  if (tables)
    help = base::format({"{}; of a capture a record for each connection ({})", "{}；抓包则可每个连接一条记录（{}）"},
                        help, records);
  add_choice(app, "-o,--output", view.form, forms, help);
  app.add_flag("-S", view.absolute_sequence_numbers,
               said({"With -o tcpdump: absolute sequence numbers", "与 -o tcpdump 合用：绝对序号"}));
  app.add_flag("-e", view.link_header,
               said({"With -o tcpdump: the link-level header", "与 -o tcpdump 合用：链路层头部"}));
  app.add_flag("-t", view.time_flags,
               said({"With -o tcpdump: no time; -tt, -ttt, -tttt, -ttttt as tcpdump has them",
                     "与 -o tcpdump 合用：不显示时间；-tt、-ttt、-tttt、-ttttt 与 tcpdump 相同"}));
}

std::vector<explain::Explained> explain_all(std::span<const recording::Recording> recordings) {
  std::vector<explain::Explained> explained;
  explained.reserve(recordings.size());
  for (const auto& recording : recordings) explained.push_back(explain::explain(recording));
  return explained;
}

void show(std::span<const explain::Explained> explained, Form form, Context& context, bool all) {
  row_of(form).show(explained, context, all);
}

void PacketLines::print(const render::TcpdumpPacket& packet) { context_.out.write(printer_.print(packet).text + '\n'); }

void PacketLines::print(const recording::Recording& recording) {
  for (const auto& event : recording.events) {
    const auto* packet = std::get_if<recording::Packet>(&event.what);
    if (packet == nullptr) continue;
    const auto& interface = recording.interfaces.at(packet->interface.value);
    print({.link_type = interface.link_type,
           .captured = packet->bytes,
           .original_length = packet->original_length,
           .at = event.at});
  }
}

void add_fail_on(CLI::App& app, FailOn& fail_on) {
  using enum explain::Severity;
  add_choice(app, "--fail-on", fail_on,
             Choices<explain::Severity>{{"note", note}, {"warning", warning}, {"error", error}},
             {"Exit with status 1 if there is a finding of this severity or a worse one",
              "若有此级别或更严重的发现，以状态 1 退出"});
}

int findings_status(std::span<const explain::Explained> explained, const FailOn& fail_on) {
  if (!fail_on) return 0;
  for (const auto& one : explained) {
    for (const auto& finding : one.findings) {
      if (finding.rule->severity >= *fail_on) return base::exit_status(base::ErrorKind::expectation);
    }
  }
  return 0;
}

}  // namespace tcpwhy::cli
