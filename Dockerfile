# The app as a container, for where Flex Consumption is not allowed: Premium, Dedicated, Container Apps. Make build/app first:
#
#   make stage && docker build --platform linux/amd64 -t lifeboat .
FROM mcr.microsoft.com/azure-functions/base:4

ENV AzureWebJobsScriptRoot=/home/site/wwwroot \
    AzureFunctionsJobHost__Logging__Console__IsEnabled=true \
    FUNCTIONS_WORKER_RUNTIME=custom

# The program must be executable, also where the files come from Windows; the others take no harm.
COPY --chmod=0755 build/app/ /home/site/wwwroot/
