#include "cli/output/capture_view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include "base/format.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "capfile/formats/reader.h"
#include "capture/packet_filter.h"
#include "cli/choice.h"
#include "cli/output/parquet_table.h"
#include "scan/connections/analysis.h"
#include "scan/tables/groups/groups_text.h"
#include "scan/tables/problems_text.h"
#include "scan/tables/summary/summary_text.h"
#include "scan/tables/where/where.h"

namespace tcpwhy::cli {
namespace {

using Columns = std::vector<const scan::Field*>;

constexpr std::string_view table_columns =
    "stream,client,server,duration,bytes,ending,closed.by,reset.cause,retransmissions,opening";
constexpr std::string_view problem_columns = "stream,client,server,duration,bytes,ending,closed.by,problems";

std::unexpected<base::Error> no_field(std::string_view name) {
  return base::fail(base::ErrorKind::usage, base::format({"there is no field {}", "没有字段 {}"}, base::quote(name)),
                    scan::hint_for_field(name));
}

base::Result<Columns> parse_columns(std::string_view list) {
  Columns columns;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view name = list.substr(0, comma);
    const scan::Field* field = scan::find_field(name);
    if (field == nullptr) return no_field(name);
    columns.push_back(field);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return columns;
}

Columns all_columns() {
  Columns columns;
  for (const scan::Field& field : scan::fields())
    if (scan::is_for_every_table(field)) columns.push_back(&field);
  return columns;
}

// "field" ascending, "-field" descending.
base::Result<scan::Greatest::Above> parse_sort(std::string_view sort) {
  const bool descending = sort.starts_with('-');
  if (descending) sort.remove_prefix(1);
  const scan::Field* field = scan::find_field(sort);
  if (field == nullptr) return no_field(sort);
  return [field, descending](const scan::Kept& a, const scan::Kept& b) {
    // The number of a connection is not known before the end; the order of first frames is the same.
    const auto value = [&](const scan::Kept& kept) -> scan::FieldValue {
      if (field->name == "stream") return static_cast<std::int64_t>(kept.record.first_frame);
      return field->value({kept.record, kept.problems, {}});
    };
    const auto left = value(a), right = value(b);
    if (left == right) return a.record.first_frame < b.record.first_frame;
    return scan::comes_before(left, right, descending);
  };
}

// On standard error, where that is a terminal; a few times a second, and gone when the work is done.
class ProgressBar {
 public:
  void show(const scan::Progress& progress) {
    if (!wanted_ || progress.size.value_or(0) == 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_ < std::chrono::milliseconds(200)) return;
    shown_ = now;
    constexpr std::size_t length = 40;
    const double share = std::min(1.0, static_cast<double>(progress.read) / static_cast<double>(*progress.size));
    const auto done = static_cast<std::size_t>(share * length);
    draw(fmt::format("\r[{}{}] {:3.0f} %", std::string(done, '#'), std::string(length - done, ' '), share * 100));
    drawn_ = true;
  }
  void clear() {
    if (drawn_) draw("\r\x1b[K");
    drawn_ = false;
  }

 private:
  bool wanted_ = isatty(STDERR_FILENO) == 1;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point shown_{};
};

std::string title(const std::vector<capfile::Input>& inputs) {
  const std::string& first = inputs.front().name();
  if (inputs.size() == 1) return first;
  return base::format(spoken(), {"{} and {} more", "{} 等 {} 个文件"}, first,
                      inputs.size() - (spoken() == base::Language::en ? 1 : 0));
}

constexpr std::size_t shown_by_default = 10;
constexpr unsigned most_threads = 1024;

class SummaryOrTable final : public CaptureView {
 public:
  SummaryOrTable(const CaptureOptions& options, Form form, const FailOn& fail_on, Context& context)
      : options_(options), form_(form), fail_on_(fail_on), context_(context), kept_(0, scan::worse) {}

  base::Status prepare() {
    if (!options_.where.empty()) {
      auto where = scan::Where::parse(options_.where);
      if (!where) return std::unexpected(where.error());
      where_.emplace(std::move(*where));
    }
    if (!options_.by.empty()) return prepare_groups();
    if (auto columns = prepare_columns(); !columns) return columns;
    if (auto order = prepare_order(); !order) return order;
    return form_ == Form::parquet ? begin_parquet() : base::Status();
  }

  [[nodiscard]] std::vector<int> reopened() const override { return parquet_ ? parquet_->files() : std::vector<int>(); }

  int show(const OpenCaptures& captures) override {
    stop_ = captures.stop.get();
    if (streams_records()) add_header();
    scan::AnalysisOptions options{.threads = threads(), .limits = {}, .seed = random_seed(), .on_progress = {}};
    options.on_progress = [this](const scan::Progress& progress) { progress_.show(progress); };
    if (options_.most_connections > 0) options.limits.open = options_.most_connections;
    auto reader = read_captures(captures, options_, {.filter = {}, .teredo = false, .by_time = true});
    if (!reader) return captures.stop->report_unless_stopped(reader.error());
    const scan::Outcome outcome =
        scan::analyse(std::move(*reader), options, [this](std::span<const scan::ConnectionRecord> records) {
          for (const auto& record : records) take(record);
          flush();
        });
    captures.stop->reading_is_over();
    progress_.clear();
    flush();
    streams_.sort();
    const bool damaged = outcome.stopped_by && !captures.stop->stopped();
    print(captures, outcome,
          captures.stop->stopped_by_signal() ? scan::Extent::stopped
          : damaged                          ? scan::Extent::cut
                                             : scan::Extent::whole);
    if (const auto written = finish_parquet(); !written) return report(written.error());
    if (damaged) return report(*outcome.stopped_by);
    if (const int status = report_unread_links(outcome.unread_links, has_summary()); status != 0) return status;
    const bool fails = fail_on_ && worst_ && *worst_ >= *fail_on_;
    return fails ? base::exit_status(base::ErrorKind::expectation) : 0;
  }

 private:
  // Lines that are written while the capture is read.
  [[nodiscard]] bool streams_records() const {
    return is_of_records(form_) && !groups_ && !options_.top && !asks_for_number();
  }
  // Which is known when all of the capture was read.
  [[nodiscard]] bool asks_for_number() const {
    return std::ranges::any_of(columns_, [](const scan::Field* field) { return field->name == "stream"; });
  }
  [[nodiscard]] bool has_table() const { return form_ == Form::text && options_.ask_for_table(); }
  [[nodiscard]] bool has_summary() const { return form_ == Form::text && !groups_ && !has_table(); }
  [[nodiscard]] bool has_problems() const { return form_ == Form::findings; }
  [[nodiscard]] std::size_t top() const {
    return options_.top.value_or(is_of_records(form_) ? SIZE_MAX : shown_by_default);
  }

  base::Status prepare_groups() {
    auto grouping = scan::Grouping::parse(options_.by);
    if (!grouping) return std::unexpected(grouping.error());
    groups_.emplace(std::move(*grouping));
    if (options_.sort.empty()) return {};
    auto order = scan::GroupOrder::parse(options_.sort);
    if (!order) return std::unexpected(order.error());
    group_order_ = *order;
    return {};
  }
  base::Status prepare_columns() {
    if (!options_.columns.empty()) {
      auto columns = parse_columns(options_.columns);
      if (!columns) return std::unexpected(columns.error());
      columns_ = std::move(*columns);
    } else if (is_of_records(form_)) {
      columns_ = all_columns();
    } else {
      columns_ = *parse_columns(options_.sort.empty() || options_.table ? table_columns : problem_columns);
    }
    return {};
  }
  base::Status prepare_order() {
    if (has_summary() || streams_records()) {
      if (options_.sort.empty()) return {};
      return base::fail(base::ErrorKind::usage,
                        base::format({"read: --sort with -o {} needs --top N, how many records to keep in memory",
                                      "read：-o {} 使用 --sort 时需要 --top N，即内存中保留多少条记录"},
                                     row_of(form_).name),
                        {"--top 1000; or sort what is written: sort, sqlite3, duckdb",
                         "--top 1000；或对写出的内容排序：sort、sqlite3、duckdb"});
    }
    scan::Greatest::Above above = scan::worse;
    if (!options_.sort.empty()) {
      auto sorted = parse_sort(options_.sort);
      if (!sorted) return std::unexpected(sorted.error());
      above = std::move(*sorted);
    } else if (options_.table || is_of_records(form_)) {
      above = [](const scan::Kept& a, const scan::Kept& b) { return a.record.first_frame < b.record.first_frame; };
    }
    kept_ = scan::Greatest(top(), std::move(above));
    return {};
  }
  base::Status begin_parquet() {
    if (isatty(STDOUT_FILENO) == 1)
      return base::fail(base::ErrorKind::usage,
                        {"a Parquet file is nothing for a terminal", "Parquet 文件不适合输出到终端"},
                        base::both("tcpwhy read FILE -o parquet > FILE.parquet"));
    auto table = ParquetTable::open(columns_);
    if (!table) return std::unexpected(table.error());
    parquet_ = std::move(*table);
    return {};
  }
  base::Status finish_parquet() {
    if (!parquet_) return {};
    return put_aside_ ? parquet_->write_to(context_.out) : put_aside_;
  }
  [[nodiscard]] unsigned threads() const {
    return options_.threads > 0 ? options_.threads : std::max(1U, std::thread::hardware_concurrency());
  }
  void take(const scan::ConnectionRecord& record) {
    ++connections_;
    streams_.put(record.first_frame);
    const auto problems = scan::problems_of(record);
    const scan::Row row{record, problems, {}};
    if (where_ && !where_->holds(row)) return;
    ++wanted_;
    if (!problems.empty()) worst_ = std::max(worst_.value_or(explain::Severity::chat), problems.front().rule->severity);
    if (groups_) return groups_->put(row);
    if (streams_records()) return add_line(row);
    if (has_problems()) {
      if (problems.empty()) return;
      ++wrong_;
    }
    if (!has_summary()) return kept_.put(record, problems);
    summary_.add(record, problems);
    examples_.put(record, problems);
  }
  void add_header() {
    if (form_ == Form::csv) lines_ += scan::csv_header(columns_);
  }
  void add_line(const scan::Row& row) {
    lines_ += form_ == Form::ndjson ? scan::ndjson_line(row, columns_) : scan::csv_line(row, columns_);
  }
  void flush() {
    if (parquet_) {
      if (put_aside_) put_aside_ = parquet_->add(lines_);
    } else if (!lines_.empty()) {
      context_.out.write(lines_);
    }
    lines_.clear();
    if (context_.out.closed() || !put_aside_) stop_->give_up();
  }
  void print(const OpenCaptures& captures, const scan::Outcome& outcome, scan::Extent extent) {
    const scan::TextOptions text{.language = context_.language(), .width = context_.width()};
    // How many there are: said where only some were wanted.
    const auto of = where_ ? std::optional(connections_) : std::nullopt;
    if (groups_) {
      print_groups(captures, extent, of, text);
    } else if (has_summary()) {
      const auto first = examples_.chosen(top());
      context_.out.write(scan::summary_text({.name = title(captures.inputs),
                                             .outcome = outcome,
                                             .extent = extent,
                                             .summary = summary_,
                                             .of = of,
                                             .first = first,
                                             .streams = streams_},
                                            text));
    } else if (has_table()) {
      print_table(extent, text);
    } else if (has_problems()) {
      const auto kept = kept_.in_order();
      const auto name = title(captures.inputs);
      context_.out.write(scan::problems_text({.name = name, .rows = kept, .streams = streams_, .wrong = wrong_}, text));
    } else if (!streams_records()) {
      print_kept_records();
    }
    if (of && wanted_ == 0 && form_ != Form::text) {
      const base::OwnedText in_both{scan::connections_in_words(0, of, base::Language::en),
                                    scan::connections_in_words(0, of, base::Language::zh)};
      warn(base::format({"--where holds for {}", "--where 符合：{}"}, in_both));
    }
  }
  void print_groups(const OpenCaptures& captures, scan::Extent extent, std::optional<std::uint64_t> of,
                    const scan::TextOptions& text) {
    const std::size_t limit = options_.top.value_or(form_ == Form::text ? shown_by_default : scan::Groups::most);
    const auto shown = groups_->shown(limit, group_order_);
    const scan::GroupsView view{
        .name = title(captures.inputs), .extent = extent, .groups = *groups_, .shown = shown, .of = of};
    context_.out.write(form_ == Form::csv      ? scan::groups_csv(view)
                       : form_ == Form::ndjson ? scan::groups_ndjson(view)
                       : form_ == Form::json   ? scan::groups_json(view)
                                               : scan::groups_text(view, text));
  }
  void print_table(scan::Extent extent, const scan::TextOptions& text) {
    const auto kept = kept_.in_order();
    context_.out.write(scan::table_text({.rows = kept,
                                         .columns = columns_,
                                         .streams = streams_,
                                         .wanted = wanted_,
                                         .of = connections_,
                                         .extent = extent},
                                        text));
  }
  void print_kept_records() {
    add_header();
    for (const scan::Kept& kept : kept_.in_order())
      add_line({kept.record, kept.problems, streams_.of(kept.record.first_frame)});
    flush();
  }

  const CaptureOptions& options_;
  Form form_;
  const FailOn& fail_on_;
  Context& context_;
  std::optional<scan::Where> where_;
  Columns columns_;
  scan::Greatest kept_;
  scan::Summary summary_;
  scan::Examples examples_;
  std::optional<scan::Groups> groups_;
  scan::GroupOrder group_order_;
  std::uint64_t connections_ = 0, wanted_ = 0;
  std::uint64_t wrong_ = 0;  // of those wanted, where what is wrong is shown
  scan::StreamNumbers streams_;
  std::string lines_;
  std::unique_ptr<ParquetTable> parquet_;
  base::Status put_aside_;
  std::optional<explain::Severity> worst_;
  ReadingStop* stop_ = nullptr;
  ProgressBar progress_;
};

// The first bytes of a pipe, left where they are by tee(2); of anything else that can be read but once, none.
std::vector<std::uint8_t> peek(const capfile::Input& input) {
  std::vector<std::uint8_t> bytes(4096);
  struct stat info{};
  std::array<int, 2> ends{};
  if (fstat(input.fd(), &info) != 0 || !S_ISFIFO(info.st_mode) || pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  const base::UniqueFd from(ends[0]), to(ends[1]);
  ssize_t got = -1;
  if (tee(input.fd(), to.get(), bytes.size(), 0) > 0) got = read(from.get(), bytes.data(), bytes.size());
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return bytes;
}

// A thousand captures of a rotation are open at once.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

bool is_recording(capfile::CaptureReader& reader) {
  const auto first = reader.next();
  if (!first || !*first) return false;
  const auto* section = std::get_if<capfile::SectionRecord>(&**first);
  return section != nullptr && section->application.starts_with("tcpwhy");
}

}  // namespace

void add_capture_options(CLI::App& app, CaptureOptions& options) {
  app.add_option("--where", options.where,
                 said({"Only connections of which this holds: 'closed.by=server and reset'; --fields lists the words",
                       "只要符合条件的连接：'closed.by=server and reset'；可用的词见 --fields"}))
      ->option_text("CONDITION");
  app.add_flag("--table", options.table,
               said({"A line for each connection, in order of the capture", "每个连接一行，按抓包中的顺序"}));
  app.add_option("--columns", options.columns,
                 said({"What to show of each connection: stream,client,server,bytes",
                       "每个连接显示哪些字段：stream,client,server,bytes"}))
      ->option_text("FIELD,FIELD...");
  app.add_option(
         "--by", options.by,
         said(
             {"Connections in groups: by server, client.ip, server.port, ending, problems, ...; by networks: client.net, "
              "server.ip/16",
              "把连接分组：按 server、client.ip、server.port、ending、problems 等；按网络：client.net、server.ip/16"}))
      ->option_text("FIELD");
  app.add_option("--sort", options.sort,
                 said({"Order of the table: a field, or -field for the greatest first",
                       "表的顺序：字段，或 -字段 表示从大到小"}))
      ->option_text("[-]FIELD");
  in_range(app.add_option("--top", options.top,
                          said({"How many connections, records or groups to show; of text 10",
                                "显示多少个连接、记录或分组；文本默认 10"})),
           {});
  app.add_flag("--fields", options.list_fields,
               said({"List the fields of --columns, --sort, --by and --where, with the values that they can have",
                     "列出 --columns、--sort、--by 和 --where 的字段及其取值"}));
  app.add_flag("--teredo", options.teredo,
               said({"Look into Teredo tunnels too (UDP port 3544)", "也解析 Teredo 隧道（UDP 端口 3544）"}));
  in_range(app.add_option("--threads", options.threads,
                          said({"Threads, each with its share of the connections; as many as there are processors",
                                "线程数，各处理一部分连接；默认等于处理器数"})),
           {.most = most_threads});
  in_range(app.add_option("--max-connections", options.most_connections,
                          said({"How many may be open at once before the quietest is let go, 400000",
                                "最多同时跟踪多少个打开的连接，超出则放弃最安静的；默认 400000"})),
           {});
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = static_cast<std::uint64_t>(getpid());
  return seed;
}

bool is_recording(const capfile::Input& input) {
  const auto bytes = input.is_regular() ? std::vector<std::uint8_t>() : peek(input);
  auto reader = input.is_regular() ? capfile::CaptureReader::open(input)
                                   : capfile::CaptureReader::from_memory(bytes, input.name());
  return reader && is_recording(*reader);
}

int show_fields(Context& context) {
  constexpr std::size_t indent = 24;
  const auto put = [&](std::string_view name, std::string_view text) {
    std::string lines = base::wrap(text, indent, indent, context.width());
    lines.replace(0, base::display_width(name), name);
    context.out.write(lines + "\n");
  };
  std::string groups;
  for (const scan::Field& field : scan::fields()) {
    const std::string values = said(scan::values_in_words(field));
    put(field.name, field.what.empty() ? values : fmt::format("{} [{}]", said(field.what), values));
    if (scan::has_few_values(field)) groups += fmt::format("{}{}", groups.empty() ? "" : ", ", field.name);
  }
  context.out.write("\n");
  put(said({"--by takes", "--by 可用"}), groups);
  return 0;
}

base::Result<OpenCaptures> open_captures(const std::vector<std::string>& paths, const CaptureOptions& options) {
  OpenCaptures captures;
  if (!options.filter.empty()) {
    auto filter = capture::PacketFilter::compile(options.filter);
    if (!filter) return std::unexpected(filter.error());
    const auto shared = std::make_shared<capture::PacketFilter>(std::move(*filter));
    captures.filter = [shared](wire::LinkType link_type, std::span<const std::uint8_t> captured,
                               std::uint32_t original_length) {
      return shared->fits(link_type, captured, original_length);
    };
  }
  if (paths.size() > 1) raise_descriptor_limit();
  for (const std::string& path : paths) {
    auto input = capfile::Input::open(path);
    if (!input) return std::unexpected(std::move(input.error()));
    captures.inputs.push_back(std::move(*input));
  }
  return captures;
}

void OpenCaptures::read_until_signal() {
  stop->begin(!std::ranges::all_of(inputs, &capfile::Input::is_regular));
  for (capfile::Input& input : inputs) input.stop_when([stop = stop] { return stop->asks_to_stop(); });
}

base::Result<scan::FrameReader> read_captures(const OpenCaptures& captures, const CaptureOptions& options,
                                              scan::FrameOptions frames) {
  frames.teredo = frames.teredo || options.teredo;
  frames.filter = captures.filter;
  frames.stop = [stop = captures.stop] { return stop->asks_to_stop(); };
  return scan::FrameReader::open_all(captures.inputs, std::move(frames));
}

int report_unread_links(const scan::UnreadLinks& unread, bool shown) {
  if (const auto status = unread.status(); !status) return report(status.error());
  if (unread.packets() > 0 && !shown) warn(unread.in_words());
  return 0;
}

base::Result<std::unique_ptr<CaptureView>> CaptureView::prepare(const CaptureOptions& options, Form form,
                                                                const FailOn& fail_on, Context& context) {
  auto view = std::make_unique<SummaryOrTable>(options, form, fail_on, context);
  if (auto prepared = view->prepare(); !prepared) return std::unexpected(std::move(prepared.error()));
  return view;
}

}  // namespace tcpwhy::cli
