// Stands in for DuckDB's library in tests: the file that it is asked to make is the question, and the rows that it was to read. A row
// "fail" makes the question fail.
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

namespace {

int something = 0;

// Between the first quotes behind `word`.
std::string path_behind(const std::string& query, const std::string& word) {
  const std::size_t begin = query.find('\'', query.find(word)) + 1;
  return query.substr(begin, query.find('\'', begin) - begin);
}

}  // namespace

extern "C" {

struct Result {
  std::uint64_t counts[3];
  void *columns, *error, *internal;
};

int duckdb_open(const char* path, void** database) {
  *database = &something;
  return path == nullptr ? 0 : 1;
}
int duckdb_connect(void* database, void** connection) {
  *connection = database;
  return 0;
}
int duckdb_query(void*, const char* text, Result*) {
  const std::string query = text;
  if (!query.starts_with("COPY")) return 0;
  std::ifstream rows(path_behind(query, "read_csv("));
  const std::string read{std::istreambuf_iterator<char>(rows), std::istreambuf_iterator<char>()};
  if (read == "fail\n") return 1;
  std::ofstream(path_behind(query, ") TO ")) << query << '\n' << read;
  return 0;
}
const char* duckdb_result_error(Result*) { return "as was wished"; }
void duckdb_destroy_result(Result*) {}
void duckdb_disconnect(void** connection) { *connection = nullptr; }
void duckdb_close(void** database) { *database = nullptr; }
}
