# The installed package: the headers, and the CMake files that define the targets where the package is used.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/plexus)
configure_package_config_file(cmake/plexus-config.cmake.in plexus-config.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(plexus-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES cmake/plexus_targets.cmake cmake/plexus_device.cmake cmake/FindCBLAS.cmake cmake/FindOneDNN.cmake
  "${PROJECT_BINARY_DIR}/plexus-config.cmake" "${PROJECT_BINARY_DIR}/plexus-config-version.cmake"
  DESTINATION ${package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/plexus)
