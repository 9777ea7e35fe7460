# The app as a container, for where Flex Consumption is not allowed: Premium, Dedicated, Container Apps. Make build/app first, in a
# clone or of the app.zip of a release in the folder build:
#
#   make stage                            or    unzip -q build/app.zip -d build/app
#   docker build --platform linux/amd64 -t lifeboat .
FROM mcr.microsoft.com/azure-functions/base:4

# A user other than root may not bind port 80 everywhere. App Service looks for 8080 too; a Container App takes it as its target port.
ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    ASPNETCORE_URLS=http://+:8080 \
    FUNCTIONS_WORKER_RUNTIME=custom \
    HOME=/home
EXPOSE 8080

# The host writes below HOME alone (seen with 4.1045). The user is the one that .NET's images call app; by its number, since not every
# base has the name.
RUN mkdir -p /home && chown -R 1654:1654 /home

# The program must be executable, also where the files come from Windows; the others take no harm.
COPY --chmod=0755 build/app/ /home/site/wwwroot/
USER 1654:1654
