#include "cli/output/parquet_table.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/unique_fd.h"

namespace tcpwhy::cli {
namespace {

namespace fs = std::filesystem;

// DuckDB's C API (duckdb.h, stable since 1.0), as far as it is needed.
struct DuckResult {
  std::uint64_t deprecated_counts[3];
  void* deprecated_columns;
  char* deprecated_error;
  void* internal;
};
using DuckHandle = void*;  // duckdb_database, duckdb_connection
constexpr int duck_success = 0;

class DuckLibrary {
 public:
  static base::Result<DuckLibrary> load(const std::string& name) {
    DuckLibrary library;
    library.handle_.reset(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE));
    if (!library.handle_)
      return base::fail(base::ErrorKind::system,
                        base::format({"-o parquet needs DuckDB's library, and {} is not there",
                                      "-o parquet 需要 DuckDB 的库，但没有 {}"},
                                     name),
                        {"put libduckdb.so (duckdb.org) where the dynamic linker looks, or use -o csv",
                         "请把 libduckdb.so（duckdb.org）放到动态链接器能找到的地方，或使用 -o csv"});
    const auto find = [&](auto& function, const char* symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library.handle_.get(), symbol));
      return function != nullptr;
    };
    const bool whole = find(library.open, "duckdb_open") && find(library.connect, "duckdb_connect") &&
                       find(library.query, "duckdb_query") && find(library.result_error, "duckdb_result_error") &&
                       find(library.destroy_result, "duckdb_destroy_result") &&
                       find(library.disconnect, "duckdb_disconnect") && find(library.close, "duckdb_close");
    if (!whole)
      return base::fail(base::ErrorKind::system,
                        base::format({"{} is not DuckDB's library", "{} 不是 DuckDB 的库"}, name));
    return library;
  }

  int (*open)(const char*, DuckHandle*) = nullptr;
  int (*connect)(DuckHandle, DuckHandle*) = nullptr;
  int (*query)(DuckHandle, const char*, DuckResult*) = nullptr;
  const char* (*result_error)(DuckResult*) = nullptr;
  void (*destroy_result)(DuckResult*) = nullptr;
  void (*disconnect)(DuckHandle*) = nullptr;
  void (*close)(DuckHandle*) = nullptr;

 private:
  struct Unload {
    void operator()(void* handle) const { dlclose(handle); }
  };
  std::unique_ptr<void, Unload> handle_;
};

// A database in memory, gone with this.
class DuckDatabase {
 public:
  explicit DuckDatabase(const DuckLibrary& library) : library_(library) {}
  DuckDatabase(const DuckDatabase&) = delete;
  DuckDatabase& operator=(const DuckDatabase&) = delete;
  ~DuckDatabase() {
    if (connection_ != nullptr) library_.disconnect(&connection_);
    if (database_ != nullptr) library_.close(&database_);
  }

  base::Status run(const std::string& query) {
    if (connection_ == nullptr && (library_.open(nullptr, &database_) != duck_success ||
                                   library_.connect(database_, &connection_) != duck_success))
      return base::fail(base::ErrorKind::system, {"DuckDB cannot be started", "无法启动 DuckDB"});
    DuckResult result{};
    base::Status done;
    if (library_.query(connection_, query.c_str(), &result) != duck_success) {
      const char* const words = library_.result_error(&result);
      done = base::fail(base::ErrorKind::system,
                        base::format({"DuckDB: {}", "DuckDB：{}"}, words != nullptr ? words : "?"));
    }
    library_.destroy_result(&result);
    return done;
  }

 private:
  const DuckLibrary& library_;
  DuckHandle database_ = nullptr, connection_ = nullptr;
};

// A file without a name, below $TMPDIR: nothing of it is left, whatever ends the program.
base::Result<base::UniqueFd> make_file() {
  std::error_code error;
  const std::string below = fs::temp_directory_path(error).string();
  if (error)
    return base::fail(
        base::ErrorKind::system,
        base::format({"no folder for temporary files: {}", "没有存放临时文件的目录：{}"}, error.message()));
  base::UniqueFd file(::open(below.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) return file;
  std::string name = below + "/tcpwhy-XXXXXX";  // where the file system has no O_TMPFILE
  file.reset(mkostemp(name.data(), O_CLOEXEC));
  if (!file.valid()) return base::fail_errno(base::format({"cannot make a file in {}", "无法在 {} 中创建文件"}, below));
  unlink(name.c_str());
  return file;
}
std::string path_of(const base::UniqueFd& file) { return fmt::format("/proc/self/fd/{}", file.get()); }

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + '\'';
}

// What a cell of CSV is read as, and what the column becomes.
std::string_view read_as(scan::Type type) {
  switch (type) {
    case scan::Type::integer: return "BIGINT";
    case scan::Type::boolean: return "BOOLEAN";
    case scan::Type::text:
    case scan::Type::list:
    case scan::Type::end:
    case scan::Type::address:
    case scan::Type::network: break;
  }
  return "VARCHAR";
}
std::string selected(const scan::Field& field) {
  const std::string name = scan::column_name(field.name);
  if (field.type != scan::Type::list) return name;
  return fmt::format("coalesce(string_split({0}, ' '), []::VARCHAR[]) AS {0}", name);
}

class DuckTable final : public ParquetTable {
 public:
  DuckTable(DuckLibrary library, base::UniqueFd rows, base::UniqueFd made, std::vector<const scan::Field*> columns)
      : library_(std::move(library)), rows_(std::move(rows)), made_(std::move(made)), columns_(std::move(columns)) {}

  [[nodiscard]] std::vector<int> files() const override { return {rows_.get(), made_.get()}; }

  base::Status add(std::string_view csv_lines) override {
    Output aside(rows_.get());
    aside.write(csv_lines);
    return aside.status();
  }

  base::Status write_to(Output& out) override {
    std::string types, names;
    for (const scan::Field* field : columns_) {
      types +=
          fmt::format("{}'{}': '{}'", types.empty() ? "" : ", ", scan::column_name(field->name), read_as(field->type));
      names += fmt::format("{}{}", names.empty() ? "" : ", ", selected(*field));
    }
    DuckDatabase duck(library_);
    // Nothing is to be fetched from anywhere (the formats are part of the library), nor to be left anywhere.
    for (const char* setting : {"SET autoinstall_known_extensions = false", "SET temp_directory = ''"})
      if (auto set = duck.run(setting); !set) return set;
    const std::string copy = fmt::format(
        "COPY (SELECT {} FROM read_csv({}, header = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', "
        "auto_detect = false, columns = {{{}}})) TO {} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)",
        names, in_quotes(path_of(rows_)), types, in_quotes(path_of(made_)));
    if (auto copied = duck.run(copy); !copied) return copied;
    return pass_on(made_, out);
  }

 private:
  static base::Status pass_on(const base::UniqueFd& file, Output& out) {
    std::array<char, 65536> piece{};
    off_t at = 0;
    while (true) {
      const ssize_t count = ::pread(file.get(), piece.data(), piece.size(), at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return base::fail_errno({"cannot read what DuckDB has made", "无法读取 DuckDB 的结果"});
      if (count == 0) return {};
      out.write({piece.data(), static_cast<std::size_t>(count)});
      at += count;
    }
  }

  DuckLibrary library_;
  base::UniqueFd rows_, made_;
  std::vector<const scan::Field*> columns_;
};

}  // namespace

base::Result<std::unique_ptr<ParquetTable>> ParquetTable::open(std::span<const scan::Field* const> columns,
                                                               const std::string& library) {
  auto loaded = DuckLibrary::load(library);
  if (!loaded) return std::unexpected(loaded.error());
  auto rows = make_file();
  if (!rows) return std::unexpected(rows.error());
  auto made = make_file();
  if (!made) return std::unexpected(made.error());
  return std::make_unique<DuckTable>(std::move(*loaded), std::move(*rows), std::move(*made),
                                     std::vector<const scan::Field*>(columns.begin(), columns.end()));
}

}  // namespace tcpwhy::cli
