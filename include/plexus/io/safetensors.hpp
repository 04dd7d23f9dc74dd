// Weights in safetensors files, which PyTorch reads and writes too: safetensors.torch.load_file() gives a
// state_dict for the nn.Sequential of the same layers. Needs nlohmann-json.
#pragma once

#include <plexus/core/buffer.hpp>
#include <plexus/io/safetensors_format.hpp>
#include <plexus/optimizers/plateau.hpp>
#include <plexus/train/least_loss_epoch.hpp>

#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_map>

namespace plexus::inline PLEXUS_ABI {

// All of a safetensors file, whatever its dtypes. Throws plexus::error where it is damaged.
inline tensor_file read_safetensors(const std::filesystem::path& path) {
  return safetensors::read(byte_source(path, "reading the safetensors file " + quoted(path)));
}

// The same from memory.
inline tensor_file parse_safetensors(std::span<const std::byte> bytes) {
  return safetensors::read(byte_source(bytes, "reading safetensors data in memory"));
}

// Writes the tensors, whole or not at all.
inline void write_safetensors(const std::filesystem::path& path, const std::vector<stored_tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  atomic_file file(path, "writing the safetensors file " + quoted(path));
  const auto order = safetensors::data_order(tensors);
  const std::string header = safetensors::header(order, metadata, file);
  file.write(std::as_bytes(std::span(header)));
  for (const stored_tensor* tensor : order) file.write(tensor->data);
  file.commit();
}

namespace safetensors {

// PyTorch counts the batches that a BatchNorm has seen. Nothing depends on it unless its momentum is None.
inline bool is_batch_count(const entry& tensor) {
  return tensor.name.ends_with(".num_batches_tracked") && tensor.dtype == "I64" && tensor.shape.empty();
}

// The tensors of `file`, in the order of `wanted` (whose data play no part). All that is missing, surplus or
// of another dtype or shape is named in one error, before any data are read.
inline std::vector<stored_tensor> read_fitting(reader file, std::vector<stored_tensor> wanted) {
  std::unordered_map<std::string, std::size_t> found;
  for (std::size_t i = 0; i < file.entries().size(); ++i) found.emplace(file.entries()[i].name, i);
  std::vector<std::string> missing, misshapen, surplus;
  std::vector<std::size_t> source(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto at = found.find(wanted[i].name);
    if (at == found.end()) {
      missing.push_back(shown(wanted[i].name));
      continue;
    }
    source[i] = at->second;
    found.erase(at);
    const entry& there = file.entries()[source[i]];
    if (there.dtype != wanted[i].dtype || there.shape != wanted[i].shape) {
      misshapen.push_back(shown(there.name) + " is " + there.dtype + " " + shape_text(there.shape) +
                          " in the file and " + wanted[i].dtype + " " + shape_text(wanted[i].shape) +
                          " in the network");
    }
  }
  for (const entry& there : file.entries()) {
    if (found.contains(there.name) && !is_batch_count(there)) surplus.push_back(shown(there.name));
  }
  std::vector<std::string> wrong;
  if (!missing.empty()) wrong.push_back("missing from the file: " + listed(missing));
  if (!surplus.empty()) wrong.push_back("not in the network: " + listed(surplus));
  if (!misshapen.empty()) wrong.push_back("of another shape: " + listed(misshapen));
  if (!wrong.empty()) {
    std::string text = wrong[0];
    for (std::size_t i = 1; i < wrong.size(); ++i) text += ", " + wrong[i];
    file.refuse(
        text,
        "give a file saved by the same function from a network with the same layers; nothing was loaded");
  }
  auto data = file.read_data();
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i].data = std::move(data[source[i]]);
  return wanted;
}

// Appends what the file calls these parameters; their data are left empty.
template <class Parameters>
void describe(const Parameters& parameters, const std::string& prefix, std::vector<stored_tensor>& tensors,
              const std::string& suffix = "") {
  for (const auto& parameter : parameters) {
    tensors.push_back(
        {prefix + parameter.name + suffix, "F32", {parameter.shape.begin(), parameter.shape.end()}, {}});
  }
}

// Device to host: parameters[i] into tensors[i].
template <class Parameters>
void download(cudaStream_t stream, const Parameters& parameters, std::span<stored_tensor> tensors) {
  for (std::size_t i = 0; const auto& parameter : parameters) {
    std::vector<float> values(parameter.values.size);
    copy_to_host<float>(stream, values, parameter.values.data);
    const auto bytes = std::as_bytes(std::span(values));
    tensors[i++].data.assign(bytes.begin(), bytes.end());
  }
}

// Host to device: tensors[i], whose shape has been checked, into parameters[i].
template <class Parameters>
void upload(cudaStream_t stream, const Parameters& parameters, std::span<const stored_tensor> tensors) {
  for (std::size_t i = 0; const auto& parameter : parameters) {
    std::vector<float> values(parameter.values.size);
    std::ranges::copy(tensors[i++].data, std::as_writable_bytes(std::span(values)).begin());
    copy_to_device<float>(stream, parameter.values.data, values);
    check(cudaStreamSynchronize(stream), "copying weights to the device");
  }
}

inline constexpr const char* optimizer_key = "optimizer";  // of the metadata: its name
inline constexpr const char* optimizer_prefix = "optimizer.";
inline constexpr const char* epoch_name = "training.epoch";
inline constexpr const char* step_name = "training.step";
inline constexpr const char* updates_name = "training.optimizer_updates";
inline constexpr const char* seed_name = "training.seed";
inline constexpr const char* loss_scale_name = "training.loss_scale";
inline constexpr const char* good_steps_name = "training.good_steps";
inline constexpr const char* skipped_name = "training.skipped_steps";
inline constexpr const char* best_prefix = "best.";
inline constexpr const char* best_numbers_prefix = "training.best.";
inline constexpr const char* best_loss_name = "training.best.loss";
inline constexpr const char* best_epoch_name = "training.best.epoch";
inline constexpr const char* plateau_prefix = "training.plateau.";
inline constexpr const char* plateau_least_loss_name = "training.plateau.least_loss";
inline constexpr const char* plateau_bad_epochs_name = "training.plateau.bad_epochs";
inline constexpr const char* plateau_cooldown_name = "training.plateau.cooldown";
inline constexpr const char* plateau_rate_factor_name = "training.plateau.rate_factor";

// A number as a tensor without extents.
template <class T>
stored_tensor number(const char* name, T value) {
  const auto bytes = std::bit_cast<std::array<std::byte, sizeof value>>(value);
  const char* dtype = std::is_same_v<T, float> ? "F32" : std::is_same_v<T, double> ? "F64" : "U64";
  return {name, dtype, {}, {bytes.begin(), bytes.end()}};
}

template <class T>
T number_in(const stored_tensor& tensor) {
  T value;
  std::memcpy(&value, tensor.data.data(), sizeof value);  // its dtype, and so its size, has been checked
  return value;
}

// How many values the file has of each of so many parameters for an optimiser: as many as hold all that it
// has.
inline int optimizer_values(const reader& file, std::size_t parameters) {
  const auto stored = static_cast<std::size_t>(std::ranges::count_if(
      file.entries(), [](const entry& tensor) { return tensor.name.starts_with(optimizer_prefix); }));
  return parameters == 0 ? 0 : static_cast<int>((stored + parameters - 1) / parameters);
}

// What training goes on from, besides tensors.
template <class Network>
std::vector<stored_tensor> training_numbers(const Network& net) {
  const auto& counters = net.training_state();
  std::vector<stored_tensor> numbers{number(epoch_name, counters.epoch), number(step_name, counters.step),
                                     number(updates_name, net.optimizer_updates()),
                                     number(seed_name, counters.random.value)};
  if constexpr (Network::scales_loss) {
    const auto now = net.loss_scale();
    numbers.push_back(number(loss_scale_name, now.scale));
    numbers.push_back(number(good_steps_name, now.good_steps));
    numbers.push_back(number(skipped_name, now.skipped));
  }
  return numbers;
}

inline bool has_prefix(const reader& file, const char* prefix) {
  return std::ranges::any_of(file.entries(),
                             [&](const entry& tensor) { return tensor.name.starts_with(prefix); });
}

// The tensors that early stopping keeps, with the names that `tensors` of the same order have.
template <class Parameters>
Parameters kept_tensors(Parameters tensors, const least_loss_epoch& best) {
  for (std::size_t i = 0; i < best.tensors.size(); ++i) tensors[i].values = best.tensors[i].view();
  if (best.tensors.empty()) tensors.clear();
  return tensors;
}

inline std::vector<stored_tensor> best_numbers(const least_loss_epoch& best) {
  return {number(best_loss_name, best.loss), number(best_epoch_name, best.epoch)};
}

// Of a network that has completed `epochs`, with room for the tensors, where they are kept.
template <class Parameters>
least_loss_epoch best_in(std::span<const stored_tensor> numbers, std::uint64_t epochs,
                         const Parameters& tensors, bool keeps) {
  least_loss_epoch best{number_in<double>(numbers[0]), number_in<std::uint64_t>(numbers[1]), {}};
  require(!std::isnan(best.loss) && best.epoch <= epochs, "restoring the best epoch",
          "its loss is not a number, or it is a later epoch than the last one",
          "give a checkpoint of save_checkpoint()");
  if (keeps) {
    for (const auto& tensor : tensors) best.tensors.emplace_back(tensor.values.size);
  }
  return best;
}

inline std::vector<stored_tensor> plateau_numbers(const plateau_state& now) {
  return {number(plateau_least_loss_name, now.least_loss), number(plateau_bad_epochs_name, now.bad_epochs),
          number(plateau_cooldown_name, now.cooldown), number(plateau_rate_factor_name, now.rate_factor)};
}

inline plateau_state plateau_in(std::span<const stored_tensor> numbers) {
  const plateau_state stored{number_in<double>(numbers[0]), number_in<std::uint64_t>(numbers[1]),
                             number_in<std::uint64_t>(numbers[2]), number_in<double>(numbers[3])};
  stored.validate();
  return stored;
}

// The same, in the same order, back into the network, with room for the values of an optimiser. Returns how
// many numbers there are.
template <class Network>
std::size_t restore_numbers(Network& net, const std::vector<stored_tensor>& numbers,
                            const std::string& optimizer, int optimizer_values) {
  std::size_t count = 4;
  if constexpr (Network::scales_loss) {  // first, since it refuses what is no scale
    net.restore_loss_scale({number_in<float>(numbers[4]), number_in<std::uint64_t>(numbers[5]),
                            number_in<std::uint64_t>(numbers[6])});
    count = 7;
  }
  const auto updates = number_in<std::uint64_t>(numbers[2]);
  if (optimizer_values > 0 || updates > 0) {
    net.restore_optimizer(optimizer, optimizer_values, updates);
  } else {
    net.forget_optimizer();
  }
  net.restore_training_state({number_in<std::uint64_t>(numbers[0]),
                              number_in<std::uint64_t>(numbers[1]),
                              {number_in<std::uint64_t>(numbers[3])}});
  return count;
}

}  // namespace safetensors

// Writes a network's parameters and statistics under the names of PyTorch's nn.Sequential, whole or not at
// all.
template <class Network>
void save(Network& net, const std::filesystem::path& path) {
  const auto all = net.tensors();
  std::vector<stored_tensor> tensors;
  safetensors::describe(all, "", tensors);
  safetensors::download(net.stream(), all, tensors);
  write_safetensors(path, tensors);
}

// Reads a network's parameters and statistics. Where anything does not fit, the error names all of it and the
// network stays as it was.
template <class Network>
void load(Network& net, const std::filesystem::path& path) {
  net.refuse_average("loading a network");
  const auto all = net.tensors();
  std::vector<stored_tensor> wanted;
  safetensors::describe(all, "", wanted);
  const auto tensors = safetensors::read_fitting(
      safetensors::reader(byte_source(path, "loading a network from " + quoted(path))), std::move(wanted));
  safetensors::upload(net.stream(), all, tensors);
}

// Writes all that training needs to go on as if it had not stopped: parameters, statistics, optimiser state,
// epoch, step, the seed of what layers draw and, in FP16, the loss scale; what early stopping and
// reduce_on_plateau have come to.
template <class Network>
void save_checkpoint(Network& net, const std::filesystem::path& path) {
  net.refuse_average("saving a checkpoint");
  const auto all = net.tensors();
  const auto state = net.optimizer_state();
  std::vector<stored_tensor> tensors;
  safetensors::describe(all, "", tensors);
  safetensors::describe(state, safetensors::optimizer_prefix, tensors);
  safetensors::download(net.stream(), all, std::span(tensors).first(all.size()));
  safetensors::download(net.stream(), state, std::span(tensors).subspan(all.size()));
  for (stored_tensor& number : safetensors::training_numbers(net)) tensors.push_back(std::move(number));
  if (net.plateau() != plateau_state{}) {
    for (stored_tensor& number : safetensors::plateau_numbers(net.plateau())) {
      tensors.push_back(std::move(number));
    }
  }
  if (const auto& best = net.best_epoch()) {
    for (stored_tensor& number : safetensors::best_numbers(*best)) tensors.push_back(std::move(number));
    const auto kept = safetensors::kept_tensors(all, *best);
    const std::size_t begin = tensors.size();
    safetensors::describe(kept, safetensors::best_prefix, tensors);
    safetensors::download(net.stream(), kept, std::span(tensors).subspan(begin));
  }
  write_safetensors(path, tensors, {{safetensors::optimizer_key, net.optimizer_name()}});
}

// Reads what save_checkpoint() wrote. Where anything does not fit, the error names all of it and the network
// stays as it was.
template <class Network>
void load_checkpoint(Network& net, const std::filesystem::path& path) {
  net.refuse_average("loading a checkpoint");
  safetensors::reader file(byte_source(path, "loading a checkpoint from " + quoted(path)));
  const auto parameters = net.parameters();
  const auto all = net.tensors();
  const int values = safetensors::optimizer_values(file, parameters.size());
  const auto name = file.metadata().find(safetensors::optimizer_key);
  const std::string optimizer = name == file.metadata().end() ? "" : name->second;
  const bool has_plateau = safetensors::has_prefix(file, safetensors::plateau_prefix);
  const bool has_best = safetensors::has_prefix(file, safetensors::best_numbers_prefix);
  const bool has_best_tensors = has_best && safetensors::has_prefix(file, safetensors::best_prefix);
  std::vector<stored_tensor> wanted = safetensors::training_numbers(net);
  safetensors::describe(all, "", wanted);
  for (int nth = 0; nth < values; ++nth) {
    safetensors::describe(parameters, safetensors::optimizer_prefix, wanted, Network::optimizer_suffix(nth));
  }
  const std::size_t plateau_begin = wanted.size();
  if (has_plateau) {
    for (stored_tensor& number : safetensors::plateau_numbers({})) wanted.push_back(std::move(number));
  }
  const std::size_t best_begin = wanted.size();
  if (has_best) {
    for (stored_tensor& number : safetensors::best_numbers({})) wanted.push_back(std::move(number));
    if (has_best_tensors) safetensors::describe(all, safetensors::best_prefix, wanted);
  }
  const auto tensors = safetensors::read_fitting(std::move(file), std::move(wanted));
  const plateau_state plateau =
      has_plateau ? safetensors::plateau_in(std::span(tensors).subspan(plateau_begin)) : plateau_state{};
  std::optional<least_loss_epoch> best;
  if (has_best) {
    const auto epochs = safetensors::number_in<std::uint64_t>(tensors[0]);
    best = safetensors::best_in(std::span(tensors).subspan(best_begin), epochs, all, has_best_tensors);
  }
  const std::size_t numbers = safetensors::restore_numbers(net, tensors, optimizer, values);
  net.set_plateau(plateau);
  net.best_epoch() = std::move(best);
  if (has_best_tensors) {
    safetensors::upload(net.stream(), safetensors::kept_tensors(all, *net.best_epoch()),
                        std::span(tensors).subspan(best_begin + 2));
  }
  const auto stored = std::span(tensors).first(plateau_begin).subspan(numbers);
  safetensors::upload(net.stream(), all, stored.first(all.size()));
  safetensors::upload(net.stream(), net.optimizer_state(), stored.subspan(all.size()));
}

}  // namespace plexus::inline PLEXUS_ABI
